/* z[k, u] = sum_ij M[k, i, j] x[i, u] y[j, u], edge by edge, over the nonzeros of M only.

   M is a list of lists: row k of the output owns the pairs rows[k] .. rows[k+1], pair p multiplies x[i[p]] and owns the
   entries pairs[p] .. pairs[p+1], entry n multiplies y[j[n]] by values[n]. A block of channels of one edge stays in the
   first-level cache, and each index that is read serves four vectors: their sums are independent of each other, so that
   no addition waits for the one before it. A vector holds LANES channels, and the last vector of an edge overlaps the
   one before it where the channels do not fill it. */

INLINE void NAMED(terms)(const int vectors, int64_t d3, int64_t c, const int32_t *rows, const int32_t *pairs,
                         const int32_t *i, const int32_t *j, const real *values, const real *restrict x,
                         const real *restrict y, real *restrict z) {
    for (int64_t k = 0; k < d3; k++) {
        vec sum[4] = {0};
        for (int32_t p = rows[k]; p < rows[k + 1]; p++) {
            vec inner[4] = {0};
            for (int32_t n = pairs[p]; n < pairs[p + 1]; n++)
                for (int v = 0; v < vectors; v++) inner[v] += values[n] * *(const vec *)(y + j[n] * c + v * LANES);
            for (int v = 0; v < vectors; v++) sum[v] += inner[v] * *(const vec *)(x + i[p] * c + v * LANES);
        }
        for (int v = 0; v < vectors; v++) *(vec *)(z + k * c + v * LANES) = sum[v];
    }
}

static int NAMED(product_of)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t d1 = n[0], d2 = n[1], d3 = n[2], c = n[3];
    const int32_t *rows = tensors[0], *pairs = tensors[1], *i = tensors[2], *j = tensors[3];
    const real *values = tensors[4];
    for (int64_t e = start; e < stop; e++) {
        const real *x = (const real *)tensors[5] + e * d1 * c, *y = (const real *)tensors[6] + e * d2 * c;
        real *z = (real *)tensors[7] + e * d3 * c;
        int64_t u = 0;
#define TERMS(vectors) NAMED(terms)(vectors, d3, c, rows, pairs, i, j, values, x + u, y + u, z + u)
        if (IS_WIDEST)
            for (; u + 4 * LANES <= c; u += 4 * LANES) TERMS(4);
        for (; u < c; u += LANES) {
            if (u + LANES > c) u = c - LANES;
            TERMS(1);
        }
#undef TERMS
    }
    return 0;
}

SHARED(product)
