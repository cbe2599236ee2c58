/* Common to all loops. `real` is float or double; a `vec` holds 64 bytes of channels, which need not be aligned. */
#include <stdint.h>
typedef real vec __attribute__((vector_size(64), aligned(sizeof(real)), may_alias));
#define WIDTH ((int64_t)(64 / sizeof(real)))
