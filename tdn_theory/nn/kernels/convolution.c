/* The convolution and its derivatives, contractions of one form that is linear in each of x, y, w and g,

       S(x, y, w, g) = sum_e sum_p sum_kiu G_p[e, k, i] w[e, p, u] x[source(e), i, u] g[target(e), k, u],
       G_p[e, k, i]  = sum_j C_p[k, i, j] y[e, j]

   `nodes` is dS/dg, and dS/dx too, with source and target exchanged and G transposed: every node sums over its edges, so
   threads share no memory that they write. `edges` is dS/dy and dS/dw, edge by edge.

   Edges are taken EDGES at a time: their G, which all channels share, is made of whole vectors, and one number of it then
   multiplies vectors of channels. The sums of a block of rows stay in registers for all of these edges. Where LANES do
   not divide the channels, the last vector overlaps the one before it, and `kept` is zero where it does.

   The path p lies in rows of x, z and w from the places table[p][X], [Z], [W] on, as d x c numbers, component by
   component; its nonzeros are the entries table[p][FIRST] to [LAST], each with k, i, j and a value. */

#define EDGES ((int)(WIDEST / sizeof(real)))

/* What has been gathered for some edges: their harmonics Y[j][EDGES], then the matrices G[k][i][EDGES] of one path. */
INLINE void NAMED(harmonics)(int64_t d2, int count, const int64_t *edge, const real *y, int64_t y_edge, real *Y) {
    for (int l = 0; l < count; l++)
        for (int64_t j = 0; j < d2; j++) Y[j * EDGES + l] = y[edge[l] * y_edge + j];
}

INLINE void NAMED(matrices)(const int64_t *path, const int32_t (*entries)[3], const real *values, int transposed,
                            const real *Y, real *restrict G) {
    const int64_t rows = path[transposed ? D1 : D3], columns = path[transposed ? D3 : D1];
    memset(G, 0, rows * columns * EDGES * sizeof(real));
    for (int64_t n = path[FIRST]; n < path[LAST]; n++) {
        const int64_t row = entries[n][transposed], column = entries[n][!transposed];
        real *one = G + (row * columns + column) * EDGES;
        const real *harmonic = Y + entries[n][2] * EDGES;
        for (int l = 0; l < EDGES; l++) one[l] += values[n] * harmonic[l];
    }
}

/* sum[k, u] += sum_e w[e, u] sum_i G[k, i, e] a[e, i, u] for some rows k and some vectors of channels u. */
INLINE void NAMED(sums)(const int rows, const int vectors, int64_t inner, int64_t c, int count, const real *G,
                        const real *const *a, const real *const *w, int64_t a_place, int64_t w_place, const vec kept,
                        real *restrict sum) {
    vec total[7][CHANNEL_VECTORS];
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < vectors; v++) total[k][v] = *(const vec *)(sum + k * c + v * LANES);
    for (int e = 0; e < count; e++) {
        const real *from = a[e] + a_place, *weight = w[e] + w_place;
        for (int v = 0; v < vectors; v++)
            if (BEGINS_LINE(v)) __builtin_prefetch(weight + (vectors + v) * LANES, 0, 3);
        for (int64_t i = 0; i < inner; i++) {
            vec factor[CHANNEL_VECTORS];
            for (int v = 0; v < vectors; v++) {
                factor[v] = *(const vec *)(from + i * c + v * LANES) * *(const vec *)(weight + v * LANES);
                if (vectors == 1) factor[v] *= kept;
            }
            for (int k = 0; k < rows; k++)
                for (int v = 0; v < vectors; v++) total[k][v] += G[(k * inner + i) * EDGES + e] * factor[v];
        }
    }
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < vectors; v++) *(vec *)(sum + k * c + v * LANES) = total[k][v];
}

INLINE void NAMED(path_sums)(const int vectors, int64_t outer, int64_t inner, int64_t c, int count, const real *G,
                             const real *const *a, const real *const *w, int64_t a_place, int64_t w_place,
                             const vec kept, real *sum) {
    for (int64_t row = 0, rows; row < outer; row += rows) {
        const int64_t left = outer - row;
        rows = left <= CONVOLUTION_ROWS ? left : left < 2 * CONVOLUTION_ROWS ? (left + 1) / 2 : CONVOLUTION_ROWS;
#define SUMS(some)                                                                                               \
    case some:                                                                                                   \
        NAMED(sums)(some, vectors, inner, c, count, G + row * inner * EDGES, a, w, a_place, w_place, kept, sum + row * c); \
        break;
        switch (rows) { SUMS(1) SUMS(2) SUMS(3) SUMS(4) SUMS(5) SUMS(6) SUMS(7) }
#undef SUMS
    }
}

/* Where the last vector of channels begins, and which of its lanes are not in the one before. */
INLINE vec NAMED(last)(int64_t u, int64_t c) {
    real one[2 * LANES] = {0};
    for (int l = LANES; l < 2 * LANES; l++) one[l] = 1;
    return *(const vec *)(one + LANES - (u + LANES > c ? u + LANES - c : 0));
}

/* Features of e3nn's layout, (channels, d), as (d, channels), and back. Whole vectors move where d is a constant. */
INLINE void NAMED(components_first)(const int64_t d, int64_t c, const real *restrict from, real *restrict to) {
    for (int64_t k = 0; k < d; k++)
        for (int64_t u = 0; u < c; u++) to[k * c + u] = from[u * d + k];
}

INLINE void NAMED(channels_first)(const int64_t d, int64_t c, const real *restrict from, real *restrict to) {
    for (int64_t u = 0; u < c; u++)
        for (int64_t k = 0; k < d; k++) to[u * d + k] = from[k * c + u];
}

#define TURNED(order)                                                                                \
    static void NAMED(slot_##order)(const int64_t *slot, const real *from, real *to) {               \
        const int64_t d = slot[1], c = slot[2];                                                      \
        from += slot[0], to += slot[0];                                                              \
        switch (d) {                                                                                 \
            case 1: NAMED(order)(1, c, from, to); break;                                             \
            case 3: NAMED(order)(3, c, from, to); break;                                             \
            case 5: NAMED(order)(5, c, from, to); break;                                             \
            case 7: NAMED(order)(7, c, from, to); break;                                             \
            default: NAMED(order)(d, c, from, to);                                                   \
        }                                                                                            \
    }
TURNED(components_first)
TURNED(channels_first)
#undef TURNED

int NAMED(turn)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t slots = n[0], width = n[1];
    const int64_t (*slot)[3] = tensors[0]; /* place, d, channels */
    const real *from = tensors[1];
    real *to = tensors[2];
    for (int64_t row = start; row < stop; row++)
        for (int64_t s = 0; s < slots; s++)
            NAMED(slot_components_first)(slot[s], from + row * width, to + row * width);
    return 0;
}

int NAMED(nodes)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t paths = n[0], d2 = n[1], a_width = n[2], y_edge = n[3], w_edge = n[4], width = n[5], transposed = n[6],
                  slots = n[7];
    const int64_t (*table)[FIELDS] = tensors[0], largest = largest_matrix(paths, table);
    const int32_t (*entries)[3] = tensors[1];
    const real *values = tensors[2];
    const int64_t (*slot)[3] = tensors[3], *read = tensors[4], *order = tensors[5], *begin = tensors[6];
    const real *a = tensors[7], *y = tensors[8], *w = tensors[9];
    real *z = tensors[10];
    real *Y = calloc((d2 + largest) * EDGES + width, sizeof(real));
    if (!Y) return 1;
    real *G = Y + d2 * EDGES, *buffer = G + largest * EDGES;
    for (int64_t node = start; node < stop; node++) {
        real *sum = slots ? buffer : z + node * width;
        memset(sum, 0, width * sizeof(real));
        for (int64_t at = begin[node], count; at < begin[node + 1]; at += count) {
            const real *from[EDGES], *weights[EDGES];
            count = begin[node + 1] - at < EDGES ? begin[node + 1] - at : EDGES;
            NAMED(harmonics)(d2, count, order + at, y, y_edge, Y);
            for (int e = 0; e < count; e++) {
                from[e] = a + read[order[at + e]] * a_width;
                weights[e] = w + order[at + e] * w_edge;
            }
            for (int64_t p = 0; p < paths; p++) {
                const int64_t *path = table[p], c = path[C];
                const int64_t outer = path[transposed ? D1 : D3], inner = path[transposed ? D3 : D1];
                const int64_t a_place = path[transposed ? Z : X], z_place = path[transposed ? X : Z];
                NAMED(matrices)(path, entries, values, transposed, Y, G);
                int64_t u = 0;
#define PATH_SUMS(vectors, kept)                                                                                    \
    NAMED(path_sums)(vectors, outer, inner, c, count, G, from, weights, a_place + u, path[W] + u, kept, sum + z_place + u)
                if (IS_WIDEST)
                    for (; u + CHANNEL_VECTORS * LANES <= c; u += CHANNEL_VECTORS * LANES)
                        PATH_SUMS(CHANNEL_VECTORS, NAMED(last)(0, c));
                for (; u < c; u += LANES) {
                    const vec kept = NAMED(last)(u, c);
                    if (u + LANES > c) u = c - LANES;
                    PATH_SUMS(1, kept);
                }
#undef PATH_SUMS
            }
        }
        for (int64_t s = 0; s < slots; s++) NAMED(slot_channels_first)(slot[s], sum, z + node * width);
    }
    free(Y);
    return 0;
}

/* dw[u] += sum_k g[k, u] sum_i G[k, i] x[i, u] for some rows k. */
INLINE void NAMED(weight_sums)(const int rows, const int vectors, int64_t d1, int64_t c, const real *G, const real *x,
                               const real *g, const vec kept, real *restrict dw) {
    vec total[7][CHANNEL_VECTORS] = {0};
    for (int64_t i = 0; i < d1; i++) {
        vec factor[CHANNEL_VECTORS];
        for (int v = 0; v < vectors; v++) factor[v] = *(const vec *)(x + i * c + v * LANES);
        for (int k = 0; k < rows; k++)
            for (int v = 0; v < vectors; v++) total[k][v] += G[(k * d1 + i) * EDGES] * factor[v];
    }
    for (int v = 0; v < vectors; v++) {
        vec result = {0};
        for (int k = 0; k < rows; k++) result += total[k][v] * *(const vec *)(g + k * c + v * LANES);
        if (vectors == 1) result *= kept;
        *(vec *)(dw + v * LANES) += result;
    }
}

INLINE void NAMED(path_weights)(const int vectors, int64_t d3, int64_t d1, int64_t c, const real *G, const real *x,
                                const real *g, const vec kept, real *dw) {
    for (int64_t row = 0, rows; row < d3; row += rows) {
        const int64_t left = d3 - row;
        rows = left <= CONVOLUTION_ROWS ? left : left < 2 * CONVOLUTION_ROWS ? (left + 1) / 2 : CONVOLUTION_ROWS;
#define WEIGHT_SUMS(some) \
    case some: NAMED(weight_sums)(some, vectors, d1, c, G + row * d1 * EDGES, x, g + row * c, kept, dw); break;
        switch (rows) { WEIGHT_SUMS(1) WEIGHT_SUMS(2) WEIGHT_SUMS(3) WEIGHT_SUMS(4) WEIGHT_SUMS(5) WEIGHT_SUMS(6)
                        WEIGHT_SUMS(7) }
#undef WEIGHT_SUMS
    }
}

/* total[k, i] += w[u] x[i, u] g[k, u] for some rows and columns and one vector of channels. */
INLINE void NAMED(outer)(const int rows, const int columns, int64_t c, const real *x, const vec weight, const real *g,
                         vec (*total)[4]) {
    vec right[4];
    for (int k = 0; k < rows; k++) right[k] = *(const vec *)(g + k * c);
    for (int i = 0; i < columns; i++) {
        const vec left = weight * *(const vec *)(x + i * c);
        for (int k = 0; k < rows; k++) total[k][i] += left * right[k];
    }
}

/* H[k, i] = sum_u w[u] x[i, u] g[k, u] for some rows and columns, the lanes of each sum still apart. */
INLINE void NAMED(pair_sums)(const int rows, const int columns, int64_t d1, int64_t c, const real *x, const real *w,
                             const real *g, vec *restrict H) {
    vec total[4][4] = {0};
    int64_t u = 0;
    for (; u + LANES <= c; u += LANES)
        NAMED(outer)(rows, columns, c, x + u, *(const vec *)(w + u), g + u, total);
    if (u < c) {
        const vec kept = NAMED(last)(u, c);
        u = c - LANES;
        NAMED(outer)(rows, columns, c, x + u, kept * *(const vec *)(w + u), g + u, total);
    }
    for (int k = 0; k < rows; k++)
        for (int i = 0; i < columns; i++) H[k * d1 + i] = total[k][i];
}

INLINE void NAMED(pairs)(int64_t d3, int64_t d1, int64_t c, const real *x, const real *w, const real *g,
                         vec *H) {
    for (int64_t k = 0; k < d3; k += PAIR_ROWS)
        for (int64_t i = 0; i < d1; i += PAIR_ROWS) {
            const int64_t rows = d3 - k < PAIR_ROWS ? d3 - k : PAIR_ROWS;
            const int64_t columns = d1 - i < PAIR_ROWS ? d1 - i : PAIR_ROWS;
#define PAIR_SUMS(some, others) \
    case 8 * some + others: NAMED(pair_sums)(some, others, d1, c, x + i * c, w, g + k * c, H + k * d1 + i); break;
#define PAIR_SUMS_OF(some) PAIR_SUMS(some, 1) PAIR_SUMS(some, 2) PAIR_SUMS(some, 3) PAIR_SUMS(some, 4)
            switch (8 * rows + columns) { PAIR_SUMS_OF(1) PAIR_SUMS_OF(2) PAIR_SUMS_OF(3) PAIR_SUMS_OF(4) }
#undef PAIR_SUMS_OF
#undef PAIR_SUMS
        }
}

int NAMED(edges)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t paths = n[0], d2 = n[1], x_width = n[2], y_edge = n[3], w_edge = n[4], g_width = n[5], w_width = n[6],
                  wants_y = n[7], wants_w = n[8];
    const int64_t (*table)[FIELDS] = tensors[0], largest = largest_matrix(paths, table);
    const int32_t (*entries)[3] = tensors[1];
    const real *values = tensors[2];
    const int64_t *source = tensors[3], *target = tensors[4];
    const real *x = tensors[5], *y = tensors[6], *w = tensors[7], *g = tensors[8];
    real *dy = tensors[9], *dw = tensors[10];
    real *Y = calloc((d2 + largest) * EDGES + (largest + EDGES * d2) * LANES, sizeof(real));
    if (!Y) return 1;
    real *G = Y + d2 * EDGES;
    vec *H = (vec *)(G + largest * EDGES), *totals = H + largest;
    for (int64_t at = start, count; at < stop; at += count) {
        int64_t edge[EDGES];
        count = stop - at < EDGES ? stop - at : EDGES;
        for (int e = 0; e < count; e++) edge[e] = at + e;
        if (wants_w) {
            NAMED(harmonics)(d2, count, edge, y, y_edge, Y);
            memset(dw + at * w_width, 0, count * w_width * sizeof(real));
        }
        if (wants_y) memset(totals, 0, EDGES * d2 * sizeof(vec));
        for (int64_t p = 0; p < paths; p++) {
            const int64_t *path = table[p], c = path[C], d1 = path[D1], d3 = path[D3];
            if (wants_w) NAMED(matrices)(path, entries, values, 0, Y, G);
            for (int e = 0; e < count; e++) {
                const real *left = x + source[at + e] * x_width + path[X], *right = g + target[at + e] * g_width + path[Z];
                const real *weights = w + (at + e) * w_edge + path[W];
                if (wants_w) {
                    real *result = dw + (at + e) * w_width + path[W];
                    int64_t u = 0;
#define PATH_WEIGHTS(vectors, kept) \
    NAMED(path_weights)(vectors, d3, d1, c, G + e, left + u, right + u, kept, result + u)
                    if (IS_WIDEST)
                        for (; u + CHANNEL_VECTORS * LANES <= c; u += CHANNEL_VECTORS * LANES)
                            PATH_WEIGHTS(CHANNEL_VECTORS, NAMED(last)(0, c));
                    for (; u < c; u += LANES) {
                        const vec kept = NAMED(last)(u, c);
                        if (u + LANES > c) u = c - LANES;
                        PATH_WEIGHTS(1, kept);
                    }
#undef PATH_WEIGHTS
                }
                if (wants_y) {
                    vec *total = totals + e * d2;
                    NAMED(pairs)(d3, d1, c, left, weights, right, H);
                    for (int64_t m = path[FIRST]; m < path[LAST]; m++)
                        total[entries[m][2]] += values[m] * H[entries[m][0] * d1 + entries[m][1]];
                }
            }
        }
        if (wants_y)
            for (int e = 0; e < count; e++)
                for (int64_t j = 0; j < d2; j++) {
                    const real *lanes = (const real *)(totals + e * d2 + j);
                    real sum = 0;
                    for (int l = 0; l < LANES; l++) sum += lanes[l];
                    dy[(at + e) * d2 + j] = sum;
                }
    }
    free(Y);
    return 0;
}

#undef EDGES
