/* Ranges of what is independent, an edge or a node each, for one thread or several. */
#include <stdlib.h>

enum { NO_MEMORY = 1, NO_SUCH_ROW = 2 }; /* what a function gives back that fails, 0 otherwise */

typedef int part(int64_t start, int64_t stop, const int64_t *n, void *const *tensors);

/* `GOMP_parallel` of the OpenMP that torch runs on: its threads are there already, and others would wait for them to
   stop waiting for work. It runs a function on so many threads, this one among them. Null where there is no OpenMP. */
void (*parallel)(void (*)(void *), void *, unsigned, unsigned) = 0;

typedef struct {
    part *function;
    int64_t count, step, taken;
    const int64_t *n;
    void *const *tensors;
    int failed;
} ranges;

/* Each thread takes the next range until none is left, so that none waits long for another that is slow. */
static void take_ranges(void *given) {
    ranges *all = given;
    for (;;) {
        const int64_t start = __atomic_fetch_add(&all->taken, all->step, __ATOMIC_RELAXED);
        if (start >= all->count) return;
        const int64_t stop = start + all->step < all->count ? start + all->step : all->count;
        const int failed = all->function(start, stop, all->n, all->tensors);
        if (failed) __atomic_store_n(&all->failed, failed, __ATOMIC_RELAXED);
    }
}

/* The function on 0 to `count`, and whether it failed. */
static int share(part *function, int64_t threads, int64_t count, const int64_t *n, void *const *tensors) {
    const int64_t step = (count + 8 * threads - 1) / (8 * threads);
    if (threads < 2 || step == 0 || !parallel) return function(0, count, n, tensors);
    ranges all = {function, count, step, 0, n, tensors, 0};
    parallel(take_ranges, &all, threads, 0);
    return all.failed;
}

/* Memory for whole vectors of whole cache lines, null if there is none. */
static void *scratch(int64_t bytes) { return aligned_alloc(64, (bytes / 64 + 1) * 64); }

/* A function for Python, whose first number is how many things there are, made of one for some of them. */
#define SHARED(name)                                                                                  \
    int NAMED(name)(int64_t threads, const int64_t *n, void *const *tensors) {                        \
        return share(NAMED(name##_of), threads, n[0], n + 1, tensors);                                \
    }
