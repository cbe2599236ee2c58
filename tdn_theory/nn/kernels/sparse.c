/* z[k, u] = sum_ij M[k, i, j] x[i, u] y[j, u], edge by edge, over the nonzeros of M only.

   M is a list of lists: row k of the output owns the pairs rows[k] .. rows[k+1], pair p multiplies x[i[p]] and owns the
   entries pairs[p] .. pairs[p+1], entry n multiplies y[j[n]] by values[n]. A block of channels of one edge stays in the
   first-level cache, and each index that is read serves four vectors. */

#define BLOCK(vectors)                                                                                       \
    for (int64_t k = 0; k < d3; k++) {                                                                       \
        vec sum[vectors] = {0};                                                                              \
        for (int32_t p = rows[k]; p < rows[k + 1]; p++) {                                                    \
            vec inner[vectors] = {0};                                                                        \
            for (int32_t n = pairs[p]; n < pairs[p + 1]; n++)                                                \
                for (int v = 0; v < vectors; v++)                                                            \
                    inner[v] += values[n] * *(const vec *)(y + j[n] * c + v * WIDTH);                        \
            for (int v = 0; v < vectors; v++) sum[v] += inner[v] * *(const vec *)(x + i[p] * c + v * WIDTH); \
        }                                                                                                    \
        for (int v = 0; v < vectors; v++) *(vec *)(z + k * c + v * WIDTH) = sum[v];                          \
    }

void product(int64_t start, int64_t stop, int64_t d1, int64_t d2, int64_t d3, int64_t c, const int32_t *rows,
             const int32_t *pairs, const int32_t *i, const int32_t *j, const real *values, const real *restrict xs,
             const real *restrict ys, real *restrict zs) {
    for (int64_t e = start; e < stop; e++) {
        const real *x = xs + e * d1 * c, *y = ys + e * d2 * c;
        real *z = zs + e * d3 * c;
        int64_t u = 0;
        for (; u + 4 * WIDTH <= c; u += 4 * WIDTH, x += 4 * WIDTH, y += 4 * WIDTH, z += 4 * WIDTH) BLOCK(4)
        for (; u + WIDTH <= c; u += WIDTH, x += WIDTH, y += WIDTH, z += WIDTH) BLOCK(1)
        for (; u < c; u++, x++, y++, z++)
            for (int64_t k = 0; k < d3; k++) {
                real sum = 0;
                for (int32_t p = rows[k]; p < rows[k + 1]; p++) {
                    real inner = 0;
                    for (int32_t n = pairs[p]; n < pairs[p + 1]; n++) inner += values[n] * y[j[n] * c];
                    sum += inner * x[i[p] * c];
                }
                z[k * c] = sum;
            }
    }
}
