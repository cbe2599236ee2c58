/* What the loops of the convolution share, whatever their numbers are. */
#include <stdlib.h>
#include <string.h>

enum { X, Z, W, D1, D3, C, FIRST, LAST, FIELDS }; /* columns of the table of paths */

/* Vectors of channels that are worked on at a time, and rows of a block of sums: these, the factors and their weights
   fill the registers. */
#define CHANNEL_VECTORS 2
#if defined(__AVX512F__) || defined(__aarch64__) /* 32 registers */
#define CONVOLUTION_ROWS 7
#define PAIR_ROWS 4
#else
#define CONVOLUTION_ROWS 5
#define PAIR_ROWS 3
#endif

/* Numbers of the largest matrix of a path. */
static int64_t largest_matrix(int64_t paths, const int64_t (*table)[FIELDS]) {
    int64_t largest = 0;
    for (int64_t p = 0; p < paths; p++)
        if (table[p][D1] * table[p][D3] > largest) largest = table[p][D1] * table[p][D3];
    return largest;
}

/* The edges sorted by row, those of a row in their order, and where in that order each row begins, with the end. */
int sort(int64_t start, int64_t stop, const int64_t *n, int64_t *const *tensors) {
    const int64_t edges = n[0], rows = n[1], *index = tensors[0];
    int64_t *order = tensors[1], *begin = tensors[2];
    memset(begin, 0, (rows + 1) * sizeof(int64_t));
    for (int64_t e = 0; e < edges; e++) begin[index[e] + 1]++;
    for (int64_t row = 0; row < rows; row++) begin[row + 1] += begin[row];
    for (int64_t e = 0; e < edges; e++) order[begin[index[e]]++] = e;
    memmove(begin + 1, begin, rows * sizeof(int64_t)); /* each is now where the next row begins */
    begin[0] = 0;
    return 0;
}
