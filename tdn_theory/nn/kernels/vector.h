/* Common to all loops. Their text follows once for each `real`, float and double, and each number of LANES, channels of
   a vector, that the processor has: a narrow vector serves channels that fill no wider one.

   WIDEST is the number of bytes of the processor's widest vectors, and VECTORS how many of them there are in a row of a
   block. Blocks of ROWS rows fill the registers and do not spill: the sums, a row of factors, and the number that
   multiplies it are ROWS * VECTORS + VECTORS + 1 = 29 of 32, or 15 of 16. */
#include <stdint.h>

#if defined(__AVX512F__)
#define WIDEST 64
#define VECTORS 4
#elif defined(__AVX__)
#define WIDEST 32
#define VECTORS 2
#elif defined(__aarch64__) /* NEON, 32 registers */
#define WIDEST 16
#define VECTORS 4
#else /* SSE2, 16 registers */
#define WIDEST 16
#define VECTORS 2
#endif
#define ROWS 6

const int32_t widest = WIDEST;

#define JOIN_VALUES(name, type, lanes) name##_##type##lanes
#define JOIN(name, type, lanes) JOIN_VALUES(name, type, lanes)
#define NAMED(name) JOIN(name, real, LANES) /* a type or function of which there is one for each, e.g. forward_float8 */
#define INLINE static inline __attribute__((always_inline))

#define VECTOR(type, lanes) \
    typedef type vec_##type##lanes __attribute__((vector_size(lanes * sizeof(type)), aligned(sizeof(type)), may_alias));
typedef float vec_float1;
typedef double vec_double1;
VECTOR(float, 4) VECTOR(float, 8) VECTOR(float, 16)
VECTOR(double, 2) VECTOR(double, 4) VECTOR(double, 8)
#define vec NAMED(vec)
#define IS_WIDEST (LANES * sizeof(real) == WIDEST)
#define BEGINS_LINE(v) (v * LANES * sizeof(real) % 64 == 0) /* of the caches, which have lines of 64 bytes */
