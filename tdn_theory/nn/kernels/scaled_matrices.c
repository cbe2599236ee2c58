/* The y-first product and its derivative, edge by edge, everything of an edge in the first-level cache:

       forward    z[k, u] = w[u] sum_i G[k, i] x[i, u]
       backward   h[i, u] = sum_k G[k, i] g[k, u],   dx[i, u] = w[u] h[i, u],   dw[u] = sum_i h[i, u] x[i, u]

   Both multiply a matrix A, which is G or its transpose, with features a, and scale the result. A vector holds LANES
   channels, and the last vector of an edge overlaps the one before it where the channels do not fill it. */

typedef struct {
    int64_t outer, inner, c;             /* rows and columns of A, channels */
    int64_t row_stride, column_stride;   /* of A */
    int64_t a_edge, other_edge;          /* from an edge to the next */
} NAMED(sizes);

/* Some rows of the result for some vectors of channels, in registers. `other`, if any, is multiplied with what is not
   scaled, and summed over rows into `dot`. What the block reads is also fetched for the next edge, into the
   second-level cache: the processor does not foresee these strides. (A prefetch may ask for what does not exist, as
   behind the last edge.) */
INLINE void NAMED(block)(const int rows, const int vectors, const NAMED(sizes) *s, const real *A, const real *restrict a,
                         const real *restrict w, real *restrict result, const real *restrict other, vec *dot) {
    vec sum[ROWS][VECTORS] = {0};
    for (int64_t i = 0; i < s->inner; i++, a += s->c) {
        vec factor[VECTORS];
        for (int v = 0; v < vectors; v++) {
            factor[v] = *(const vec *)(a + v * LANES);
            if (BEGINS_LINE(v)) __builtin_prefetch(a + s->a_edge + v * LANES, 0, 2);
        }
        for (int k = 0; k < rows; k++)
            for (int v = 0; v < vectors; v++) sum[k][v] += A[k * s->row_stride + i * s->column_stride] * factor[v];
    }
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < vectors; v++) {
            const int64_t place = k * s->c + v * LANES;
            if (other) {
                dot[v] += sum[k][v] * *(const vec *)(other + place);
                if (BEGINS_LINE(v)) __builtin_prefetch(other + s->other_edge + place, 0, 2);
            }
            *(vec *)(result + place) = sum[k][v] * *(const vec *)(w + v * LANES);
        }
}

/* All rows for some vectors of channels; the last two blocks share what does not fill both. */
INLINE void NAMED(columns)(const int vectors, const NAMED(sizes) *s, const real *A, const real *restrict a,
                           const real *restrict w, real *restrict result, const real *restrict other,
                           real *restrict dots) {
    vec dot[VECTORS] = {0};
    for (int64_t row = 0, count; row < s->outer; row += count) {
        const int64_t left = s->outer - row;
        count = left <= ROWS ? left : left < 2 * ROWS ? (left + 1) / 2 : ROWS;
#define BLOCK(rows)                                                                                          \
    case rows:                                                                                               \
        NAMED(block)(rows, vectors, s, A + row * s->row_stride, a, w, result + row * s->c,                   \
                     other ? other + row * s->c : 0, dot);                                                   \
        break;
        switch (count) { BLOCK(1) BLOCK(2) BLOCK(3) BLOCK(4) BLOCK(5) BLOCK(6) }
#undef BLOCK
    }
    if (other)
        for (int v = 0; v < vectors; v++) *(vec *)(dots + v * LANES) = dot[v];
}

/* All channels: several of the widest vectors at a time, or one. */
INLINE void NAMED(edge)(const NAMED(sizes) *s, const real *A, const real *a, const real *w, real *result,
                        const real *other, real *dots) {
    int64_t u = 0;
#define COLUMNS(vectors) NAMED(columns)(vectors, s, A, a + u, w + u, result + u, other ? other + u : 0, dots + u)
    if (IS_WIDEST)
        for (; u + VECTORS * LANES <= s->c; u += VECTORS * LANES) COLUMNS(VECTORS);
    for (; u < s->c; u += LANES) {
        if (u + LANES > s->c) u = s->c - LANES;
        COLUMNS(1);
    }
#undef COLUMNS
}

static int NAMED(forward_of)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t d3 = n[0], d1 = n[1], c = n[2], G_edge = n[3], G_row = n[4], x_edge = n[5], w_edge = n[6];
    const real *G = tensors[0], *x = tensors[1], *w = tensors[2];
    real *z = tensors[3];
    const NAMED(sizes) s = {d3, d1, c, G_row, 1, x_edge, 0};
    for (int64_t e = start; e < stop; e++)
        NAMED(edge)(&s, G + e * G_edge, x + e * x_edge, w + e * w_edge, z + e * d3 * c, 0, 0);
    return 0;
}

static int NAMED(backward_of)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t d3 = n[0], d1 = n[1], c = n[2], G_edge = n[3], G_row = n[4], x_edge = n[5], w_edge = n[6], g_edge = n[7];
    const real *G = tensors[0], *x = tensors[1], *w = tensors[2], *g = tensors[3];
    real *dx = tensors[4], *dw = tensors[5];
    const NAMED(sizes) s = {d1, d3, c, 1, G_row, g_edge, x_edge};
    for (int64_t e = start; e < stop; e++)
        NAMED(edge)(&s, G + e * G_edge, g + e * g_edge, w + e * w_edge, dx + e * d1 * c, x + e * x_edge, dw + e * c);
    return 0;
}

SHARED(forward)
SHARED(backward)
