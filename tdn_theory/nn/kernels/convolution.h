/* What the loops of the convolution share, whatever their numbers are. */
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

/* Numbers of the matrices of an edge that, for whole vectors of edges, fill half of the first-level cache. */
#define FEW_NUMBERS 256

/* Numbers of the largest matrix of a path. */
static int64_t largest_matrix(int64_t paths, const int64_t (*table)[FIELDS]) {
    int64_t largest = 0;
    for (int64_t p = 0; p < paths; p++)
        if (table[p][D1] * table[p][D3] > largest) largest = table[p][D1] * table[p][D3];
    return largest;
}

/* Whether component k of the result comes from component k of the features only, as where the harmonics are scalars. */
static int is_diagonal(const int64_t *path, const int32_t (*entries)[3]) {
    for (int64_t m = path[FIRST]; m < path[LAST]; m++)
        if (entries[m][0] != entries[m][1]) return 0;
    return path[D1] == path[D3];
}

/* How many numbers the matrix of a path, or its diagonal, has for an edge. */
static int64_t numbers_of(const int64_t *path, const int32_t (*entries)[3]) {
    return path[D3] * (is_diagonal(path, entries) ? 1 : path[D1]);
}

/* The edges sorted by row, those of a row in their order, and where in that order each row begins, with the end. */
static int sort(int64_t edges, int64_t rows, const int64_t *index, int64_t *order, int64_t *begin) {
    memset(begin, 0, (rows + 1) * sizeof(int64_t));
    for (int64_t e = 0; e < edges; e++) {
        if (index[e] < 0 || index[e] >= rows) return NO_SUCH_ROW;
        begin[index[e] + 1]++;
    }
    for (int64_t row = 0; row < rows; row++) begin[row + 1] += begin[row];
    for (int64_t e = 0; e < edges; e++) order[begin[index[e]]++] = e;
    memmove(begin + 1, begin, rows * sizeof(int64_t)); /* each is now where the next row begins */
    begin[0] = 0;
    return 0;
}
