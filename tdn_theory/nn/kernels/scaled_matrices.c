/* The y-first product and its derivative, edge by edge, everything of an edge in the first-level cache:

       forward    z[k, u] = w[u] sum_i G[k, i] x[i, u]
       backward   h[i, u] = sum_k G[k, i] g[k, u],   dx = w h,   dw[u] = sum_i h[i, u] x[i, u]

   One block computes `rows` rows of the result for `WIDTH * vectors` channels in registers: 4 x 4 accumulators, so that
   every vector that is read serves four rows. */

#define MULTIPLY(rows, vectors)                                                                              \
    vec sum[rows][vectors] = {0};                                                                            \
    for (int64_t i = 0; i < inner; i++) {                                                                    \
        vec a[vectors];                                                                                      \
        for (int v = 0; v < vectors; v++) a[v] = *(const vec *)(x + i * c + v * WIDTH);                      \
        for (int k = 0; k < rows; k++)                                                                       \
            for (int v = 0; v < vectors; v++) sum[k][v] += G[(row + k) * row_stride + i * inner_stride] * a[v]; \
    }

/* Forward */

#define FORWARD(rows, vectors)                                                                               \
    for (; row + rows <= d3; row += rows) {                                                                  \
        MULTIPLY(rows, vectors)                                                                              \
        for (int k = 0; k < rows; k++)                                                                       \
            for (int v = 0; v < vectors; v++)                                                                \
                *(vec *)(z + (row + k) * c + v * WIDTH) = sum[k][v] * *(const vec *)(w + v * WIDTH);         \
    }

void forward(int64_t start, int64_t stop, int64_t d3, int64_t d1, int64_t c, int64_t G_edge, int64_t G_row,
             int64_t w_edge, const real *restrict Gs, const real *restrict xs, const real *restrict ws, real *restrict zs) {
    const int64_t inner = d1, row_stride = G_row, inner_stride = 1;
    for (int64_t e = start; e < stop; e++) {
        const real *G = Gs + e * G_edge, *x = xs + e * d1 * c, *w = ws + e * w_edge;
        real *z = zs + e * d3 * c;
        int64_t u = 0;
        for (; u + 4 * WIDTH <= c; u += 4 * WIDTH, x += 4 * WIDTH, w += 4 * WIDTH, z += 4 * WIDTH) {
            int64_t row = 0;
            FORWARD(4, 4)
            FORWARD(1, 4)
        }
        for (; u + WIDTH <= c; u += WIDTH, x += WIDTH, w += WIDTH, z += WIDTH) {
            int64_t row = 0;
            FORWARD(4, 1)
            FORWARD(1, 1)
        }
        for (; u < c; u++, x++, w++, z++)
            for (int64_t k = 0; k < d3; k++) {
                real sum = 0;
                for (int64_t i = 0; i < d1; i++) sum += G[k * G_row + i] * x[i * c];
                z[k * c] = sum * w[0];
            }
    }
}

/* Backward: `x` of MULTIPLY is g here, and the rows of the result are those of x. */

#define BACKWARD(rows, vectors)                                                                              \
    for (; row + rows <= d1; row += rows) {                                                                  \
        MULTIPLY(rows, vectors)                                                                              \
        for (int k = 0; k < rows; k++)                                                                       \
            for (int v = 0; v < vectors; v++) {                                                              \
                dw_sum[v] += sum[k][v] * *(const vec *)(features + (row + k) * c + v * WIDTH);               \
                *(vec *)(dx + (row + k) * c + v * WIDTH) = sum[k][v] * *(const vec *)(w + v * WIDTH);        \
            }                                                                                                \
    }
#define STEP(n) u += n, x += n, w += n, features += n, dx += n, dw += n

void backward(int64_t start, int64_t stop, int64_t d3, int64_t d1, int64_t c, int64_t G_edge, int64_t G_row,
              int64_t w_edge, const real *restrict Gs, const real *restrict gs, const real *restrict ws, const real *restrict xs,
              real *restrict dxs, real *restrict dws) {
    const int64_t inner = d3, row_stride = 1, inner_stride = G_row;
    for (int64_t e = start; e < stop; e++) {
        const real *G = Gs + e * G_edge, *x = gs + e * d3 * c, *w = ws + e * w_edge, *features = xs + e * d1 * c;
        real *dx = dxs + e * d1 * c, *dw = dws + e * c;
        int64_t u = 0;
        for (; u + 4 * WIDTH <= c; STEP(4 * WIDTH)) {
            vec dw_sum[4] = {0};
            int64_t row = 0;
            BACKWARD(4, 4)
            BACKWARD(1, 4)
            for (int v = 0; v < 4; v++) *(vec *)(dw + v * WIDTH) = dw_sum[v];
        }
        for (; u + WIDTH <= c; STEP(WIDTH)) {
            vec dw_sum[1] = {0};
            int64_t row = 0;
            BACKWARD(4, 1)
            BACKWARD(1, 1)
            *(vec *)dw = dw_sum[0];
        }
        for (; u < c; STEP(1)) {
            real sum = 0;
            for (int64_t i = 0; i < d1; i++) {
                real h = 0;
                for (int64_t k = 0; k < d3; k++) h += G[k * G_row + i] * x[k * c];
                sum += h * features[i * c];
                dx[i * c] = h * w[0];
            }
            dw[0] = sum;
        }
    }
}
