/* The convolution and its derivatives, contractions of one form that is linear in each of x, y, w and g,

       S(x, y, w, g) = sum_e sum_p sum_kiu G_p[e, k, i] w[e, p, u] x[source(e), i, u] g[target(e), k, u],
       G_p[e, k, i]  = sum_j C_p[k, i, j] y[e, j]

   `nodes` is dS/dg, and dS/dx too, with source and target exchanged and G transposed: every node sums over its edges,
   so threads share no memory that they write. `edges` is dS/dy and dS/dw, edge by edge, for as many paths at a time as
   have few numbers in their matrices, so that what belongs to an edge is touched once.

   Edges are taken EDGES at a time: their G, which all channels share, is made of whole vectors, and one number of it
   then multiplies vectors of channels. The sums of a block of rows stay in registers for all of these edges. Where LANES do
   not divide the channels, the last vector overlaps the one before it, and `kept` is zero where it does.

   The path p lies in rows of x, z and w from the places table[p][X], [Z], [W] on, as d x c numbers, component by
   component; its nonzeros are the entries table[p][FIRST] to [LAST], each with k, i, j and a value. */

#define EDGES ((int)(WIDEST / sizeof(real)))

/* What has been gathered for some edges: their harmonics Y[j][EDGES], then the matrices G[k][i][EDGES] of one path, or
   their diagonals G[k][EDGES] if these are all there is. */
INLINE void NAMED(harmonics)(int64_t d2, int count, const int64_t *edge, const real *y, int64_t y_edge, real *Y) {
    for (int l = 0; l < count; l++)
        for (int64_t j = 0; j < d2; j++) Y[j * EDGES + l] = y[edge[l] * y_edge + j];
}

INLINE void NAMED(matrices)(const int64_t *path, const int32_t (*entries)[3], const double *values, int transposed,
                            int diagonal, const real *Y, real *restrict G) {
    const int64_t rows = path[transposed ? D1 : D3], columns = diagonal ? 1 : path[transposed ? D3 : D1];
    memset(G, 0, rows * columns * EDGES * sizeof(real));
    for (int64_t n = path[FIRST]; n < path[LAST]; n++) {
        const int64_t row = entries[n][transposed], column = diagonal ? 0 : entries[n][!transposed];
        const real value = values[n], *harmonic = Y + entries[n][2] * EDGES;
        real *one = G + (row * columns + column) * EDGES;
        for (int l = 0; l < EDGES; l++) one[l] += value * harmonic[l];
    }
}

/* sum[k, u] += sum_e w[e, u] sum_i G[k, i, e] a[e, i, u] for some rows k and some vectors of channels u; or with the
   diagonal G[k, e] and a[e, k, u], whose first row is that of the sums. */
INLINE void NAMED(sums)(const int rows, const int vectors, const int diagonal, int64_t inner, int64_t c, int count,
                        const real *G, const real *const *a, const real *const *w, int64_t a_place, int64_t w_place,
                        const vec kept, real *restrict sum) {
    vec total[7][CHANNEL_VECTORS];
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < vectors; v++) total[k][v] = *(const vec *)(sum + k * c + v * LANES);
    for (int e = 0; e < count; e++) {
        const real *from = a[e] + a_place, *weights = w[e] + w_place;
        vec weight[CHANNEL_VECTORS];
        for (int v = 0; v < vectors; v++) {
            weight[v] = *(const vec *)(weights + v * LANES);
            if (vectors == 1) weight[v] *= kept;
            if (BEGINS_LINE(v)) __builtin_prefetch(weights + (vectors + v) * LANES, 0, 3);
        }
        if (diagonal)
            for (int k = 0; k < rows; k++)
                for (int v = 0; v < vectors; v++)
                    total[k][v] += G[k * EDGES + e] * (weight[v] * *(const vec *)(from + k * c + v * LANES));
        else if (rows == 1) { /* the weights multiply the only row, not the columns */
            vec row[CHANNEL_VECTORS] = {0};
            for (int64_t i = 0; i < inner; i++)
                for (int v = 0; v < vectors; v++) row[v] += G[i * EDGES + e] * *(const vec *)(from + i * c + v * LANES);
            for (int v = 0; v < vectors; v++) total[0][v] += weight[v] * row[v];
        } else
            for (int64_t i = 0; i < inner; i++) {
                vec factor[CHANNEL_VECTORS];
                for (int v = 0; v < vectors; v++) factor[v] = weight[v] * *(const vec *)(from + i * c + v * LANES);
                for (int k = 0; k < rows; k++)
                    for (int v = 0; v < vectors; v++) total[k][v] += G[(k * inner + i) * EDGES + e] * factor[v];
            }
    }
    for (int k = 0; k < rows; k++)
        for (int v = 0; v < vectors; v++) *(vec *)(sum + k * c + v * LANES) = total[k][v];
}

INLINE void NAMED(path_sums)(const int vectors, int diagonal, int64_t outer, int64_t inner, int64_t c, int count,
                             const real *G, const real *const *a, const real *const *w, int64_t a_place,
                             int64_t w_place, const vec kept, real *sum) {
    for (int64_t row = 0, rows; row < outer; row += rows) {
        const int64_t left = outer - row;
        rows = left <= CONVOLUTION_ROWS ? left : left < 2 * CONVOLUTION_ROWS ? (left + 1) / 2 : CONVOLUTION_ROWS;
#define SUMS(some)                                                                                           \
    case some:                                                                                               \
        if (diagonal)                                                                                        \
            NAMED(sums)(some, vectors, 1, 1, c, count, G + row * EDGES, a, w, a_place + row * c, w_place,    \
                        kept, sum + row * c);                                                                \
        else                                                                                                 \
            NAMED(sums)(some, vectors, 0, inner, c, count, G + row * inner * EDGES, a, w, a_place, w_place,  \
                        kept, sum + row * c);                                                                \
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

static int NAMED(turn)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t slots = n[0], width = n[1];
    const int64_t (*slot)[3] = tensors[0]; /* place, d, channels */
    const real *from = tensors[1];
    real *to = tensors[2];
    for (int64_t row = start; row < stop; row++)
        for (int64_t s = 0; s < slots; s++)
            NAMED(slot_components_first)(slot[s], from + row * width, to + row * width);
    return 0;
}

/* The features with their slots turned, in memory to be freed; the features themselves if none is to be. */
static int NAMED(turned)(int64_t threads, int64_t rows, int64_t width, int64_t slots, void *slot, real *from,
                         real **to) {
    *to = slots ? scratch(rows * width * sizeof(real)) : from;
    if (!slots) return 0;
    return *to ? share(NAMED(turn), threads, rows, (int64_t[]){slots, width}, (void *[]){slot, from, *to}) : NO_MEMORY;
}

static int NAMED(nodes)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t paths = n[0], d2 = n[1], a_rows = n[2], a_width = n[3], y_edge = n[4], w_edge = n[5], width = n[6],
                  transposed = n[7], slots = n[8];
    const int64_t (*table)[FIELDS] = tensors[0], largest = largest_matrix(paths, table);
    const int32_t (*entries)[3] = tensors[1];
    const double *values = tensors[2];
    const int64_t (*slot)[3] = tensors[3], *read = tensors[4], *order = tensors[5], *begin = tensors[6];
    const real *a = tensors[7], *y = tensors[8], *w = tensors[9];
    real *z = tensors[10];
    const int64_t sums = (width + EDGES - 1) / EDGES * EDGES; /* whole vectors */
    real *buffer = scratch((sums + (d2 + largest) * EDGES) * sizeof(real));
    if (!buffer) return NO_MEMORY;
    real *Y = buffer + sums, *G = Y + d2 * EDGES;
    memset(Y, 0, d2 * EDGES * sizeof(real));
    for (int64_t node = start; node < stop; node++) {
        real *result = z + node * width, *sum = slots ? buffer : result;
        memset(result, 0, width * sizeof(real)); /* there may be numbers in no slot */
        if (slots) memset(buffer, 0, width * sizeof(real));
        for (int64_t at = begin[node], count; at < begin[node + 1]; at += count) {
            const real *from[EDGES], *weights[EDGES];
            count = begin[node + 1] - at < EDGES ? begin[node + 1] - at : EDGES;
            NAMED(harmonics)(d2, count, order + at, y, y_edge, Y);
            for (int e = 0; e < count; e++) {
                const int64_t row = read[order[at + e]];
                if (row < 0 || row >= a_rows) {
                    free(buffer);
                    return NO_SUCH_ROW;
                }
                from[e] = a + row * a_width;
                weights[e] = w + order[at + e] * w_edge;
            }
            for (int64_t p = 0; p < paths; p++) {
                const int64_t *path = table[p], c = path[C];
                const int64_t outer = path[transposed ? D1 : D3], inner = path[transposed ? D3 : D1];
                const int64_t a_place = path[transposed ? Z : X], z_place = path[transposed ? X : Z];
                const int diagonal = is_diagonal(path, entries);
                NAMED(matrices)(path, entries, values, transposed, diagonal, Y, G);
                int64_t u = 0;
#define PATH_SUMS(vectors, kept)                                                                                 \
    NAMED(path_sums)(vectors, diagonal, outer, inner, c, count, G, from, weights, a_place + u, path[W] + u, kept, \
                     sum + z_place + u)
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
        for (int64_t s = 0; s < slots; s++) NAMED(slot_channels_first)(slot[s], sum, result);
    }
    free(buffer);
    return 0;
}

int NAMED(sum_at_nodes)(int64_t threads, const int64_t *n, void *const *tensors) {
    const int64_t edges = n[0], rows = n[1], a_slots = n[2], a_rows = n[5], a_width = n[6];
    void *table = tensors[0], *entries = tensors[1], *values = tensors[2], *a_slot = tensors[3], *z_slot = tensors[4];
    void *read = tensors[5], *add = tensors[6], *a = tensors[7], *y = tensors[8], *w = tensors[9], *z = tensors[10];
    real *turned;
    int64_t *order = scratch((edges + rows + 1) * sizeof(int64_t)), *begin = order + edges;
    int failed = NAMED(turned)(threads, a_rows, a_width, a_slots, a_slot, a, &turned);
    if (!failed) failed = order ? sort(edges, rows, add, order, begin) : NO_MEMORY;
    if (!failed)
        failed = share(NAMED(nodes), threads, rows, n + 3,
                       (void *[]){table, entries, values, z_slot, read, order, begin, turned, y, w, z});
    free(order);
    if (turned != a) free(turned);
    return failed;
}

/* dw[u] += sum_k g[k, u] sum_i G[k, i] x[i, u] for some rows k; or with the diagonal G[k] and x[k, u]. */
INLINE void NAMED(weight_sums)(const int rows, const int vectors, const int diagonal, int64_t d1, int64_t c,
                               const real *G, const real *x, const real *g, const vec kept, real *restrict dw) {
    vec total[7][CHANNEL_VECTORS] = {0};
    if (diagonal)
        for (int k = 0; k < rows; k++)
            for (int v = 0; v < vectors; v++) total[k][v] = G[k * EDGES] * *(const vec *)(x + k * c + v * LANES);
    else
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

INLINE void NAMED(path_weights)(const int vectors, int diagonal, int64_t d3, int64_t d1, int64_t c, const real *G,
                                const real *x, const real *g, const vec kept, real *dw) {
    for (int64_t row = 0, rows; row < d3; row += rows) {
        const int64_t left = d3 - row;
        rows = left <= CONVOLUTION_ROWS ? left : left < 2 * CONVOLUTION_ROWS ? (left + 1) / 2 : CONVOLUTION_ROWS;
#define WEIGHT_SUMS(some)                                                                                            \
    case some:                                                                                                       \
        if (diagonal)                                                                                                \
            NAMED(weight_sums)(some, vectors, 1, 1, c, G + row * EDGES, x + row * c, g + row * c, kept, dw);         \
        else                                                                                                         \
            NAMED(weight_sums)(some, vectors, 0, d1, c, G + row * d1 * EDGES, x, g + row * c, kept, dw);             \
        break;
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

INLINE void NAMED(pairs)(int diagonal, int64_t d3, int64_t d1, int64_t c, const real *x, const real *w, const real *g,
                         vec *H) {
    if (diagonal)
        for (int64_t k = 0; k < d3; k++) NAMED(pair_sums)(1, 1, d1, c, x + k * c, w, g + k * c, H + k * d1 + k);
    else
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

/* Lines of the caches that hold numbers are asked for: to be written, or to be read. */
INLINE void NAMED(fetch)(const real *from, int64_t numbers, const int written) {
    for (int64_t u = 0; u < numbers; u += 64 / (int64_t)sizeof(real)) {
        if (written) __builtin_prefetch(from + u, 1, 3);
        else __builtin_prefetch(from + u, 0, 3);
    }
}

static int NAMED(edges)(int64_t start, int64_t stop, const int64_t *n, void *const *tensors) {
    const int64_t paths = n[0], d2 = n[1], x_rows = n[2], x_width = n[3], y_edge = n[4], w_edge = n[5], g_rows = n[6],
                  g_width = n[7], w_width = n[8], wants_y = n[9], wants_w = n[10];
    const int64_t (*table)[FIELDS] = tensors[0], largest = largest_matrix(paths, table);
    const int32_t (*entries)[3] = tensors[1];
    const double *values = tensors[2];
    const int64_t *source = tensors[3], *target = tensors[4];
    const real *x = tensors[5], *y = tensors[6], *w = tensors[7], *g = tensors[8];
    real *dy = tensors[9], *dw = tensors[10];
    const int64_t most = largest > FEW_NUMBERS ? largest : FEW_NUMBERS;
    real *Y = scratch(((d2 + most) * EDGES + (largest + EDGES * d2) * LANES) * sizeof(real));
    if (!Y) return NO_MEMORY;
    real *G = Y + d2 * EDGES;
    vec *H = (vec *)(G + most * EDGES), *totals = H + largest;
    memset(Y, 0, d2 * EDGES * sizeof(real));
    for (int64_t at = start, count; at < stop; at += count) {
        int64_t edge[EDGES];
        count = stop - at < EDGES ? stop - at : EDGES;
        for (int e = 0; e < count; e++) {
            edge[e] = at + e;
            if (source[at + e] < 0 || source[at + e] >= x_rows || target[at + e] < 0 || target[at + e] >= g_rows) {
                free(Y);
                return NO_SUCH_ROW;
            }
        }
        if (wants_w) NAMED(harmonics)(d2, count, edge, y, y_edge, Y);
        if (wants_y) memset(totals, 0, EDGES * d2 * sizeof(vec));
        for (int64_t first = 0, last; first < paths; first = last) {
            int64_t filled = 0;
            for (last = first; last < paths; last++) {
                const int64_t *path = table[last], numbers = numbers_of(path, entries);
                if (last > first && filled + numbers > FEW_NUMBERS) break;
                if (wants_w)
                    NAMED(matrices)(path, entries, values, 0, is_diagonal(path, entries), Y, G + filled * EDGES);
                filled += numbers;
            }
            for (int e = 0; e < count; e++) {
                const real *matrix = G + e;
                if (wants_w && first == 0) memset(dw + (at + e) * w_width, 0, w_width * sizeof(real));
                for (int64_t p = first; p < last; p++) {
                    const int64_t *path = table[p], c = path[C], d1 = path[D1], d3 = path[D3];
                    const int diagonal = is_diagonal(path, entries);
                    const real *left = x + source[at + e] * x_width + path[X];
                    const real *right = g + target[at + e] * g_width + path[Z];
                    const real *weights = w + (at + e) * w_edge + path[W];
                    if (wants_y) NAMED(fetch)(weights + w_edge, c, 0);
                    if (wants_w) {
                        real *result = dw + (at + e) * w_width + path[W];
                        NAMED(fetch)(result + w_width, c, 1);
                        int64_t u = 0;
#define PATH_WEIGHTS(vectors, kept) \
    NAMED(path_weights)(vectors, diagonal, d3, d1, c, matrix, left + u, right + u, kept, result + u)
                        if (IS_WIDEST)
                            for (; u + CHANNEL_VECTORS * LANES <= c; u += CHANNEL_VECTORS * LANES)
                                PATH_WEIGHTS(CHANNEL_VECTORS, NAMED(last)(0, c));
                        for (; u < c; u += LANES) {
                            const vec kept = NAMED(last)(u, c);
                            if (u + LANES > c) u = c - LANES;
                            PATH_WEIGHTS(1, kept);
                        }
#undef PATH_WEIGHTS
                        matrix += numbers_of(path, entries) * EDGES;
                    }
                    if (wants_y) {
                        vec *total = totals + e * d2;
                        NAMED(pairs)(diagonal, d3, d1, c, left, weights, right, H);
                        for (int64_t m = path[FIRST]; m < path[LAST]; m++)
                            total[entries[m][2]] += (real)values[m] * H[entries[m][0] * d1 + entries[m][1]];
                    }
                }
            }
        }
        if (wants_y)
            for (int e = 0; e < count; e++)
                for (int64_t j = 0; j < d2; j++) {
                    const real *lanes = (const real *)(totals + e * d2 + j);
                    real sum[4] = {0};
                    for (int l = 0; l < LANES; l++) sum[l % 4] += lanes[l];
                    dy[(at + e) * d2 + j] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
                }
    }
    free(Y);
    return 0;
}

int NAMED(sum_at_edges)(int64_t threads, const int64_t *n, void *const *tensors) {
    const int64_t edges = n[0], x_slots = n[1], g_slots = n[2];
    const int64_t x_rows = n[5], x_width = n[6], g_rows = n[9], g_width = n[10];
    void *table = tensors[0], *entries = tensors[1], *values = tensors[2], *x_slot = tensors[3], *g_slot = tensors[4];
    void *source = tensors[5], *target = tensors[6], *x = tensors[7], *y = tensors[8], *w = tensors[9];
    void *g = tensors[10], *dy = tensors[11], *dw = tensors[12];
    real *left, *right = g;
    int failed = NAMED(turned)(threads, x_rows, x_width, x_slots, x_slot, x, &left);
    if (!failed) failed = NAMED(turned)(threads, g_rows, g_width, g_slots, g_slot, g, &right);
    if (!failed)
        failed = share(NAMED(edges), threads, edges, n + 3,
                       (void *[]){table, entries, values, source, target, left, y, w, right, dy, dw});
    if (left != x) free(left);
    if (right != g) free(right);
    return failed;
}

#undef EDGES
