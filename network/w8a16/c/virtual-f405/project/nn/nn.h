/* The kernels of Tendon: what a network's step calls. This header is the manual; docs/spec/
 * defines the integers.
 *
 * Every tensor is int16, (frames, features), features contiguous; 8-bit activations (`w8a8`) are
 * the same int16 values held to -128..127 by lo and hi. The caller owns all memory; nothing is
 * allocated, nothing is kept but the state of nn_s4d_s16, the history of nn_window_s16, the past
 * of nn_interpolate_s16, the cell of nn_lstm_cell_s16, the hidden state of nn_gru_cell_s16, the sum
 * and count of nn_integrate_s16 and the count of nn_start_up.
 * Shapes and ranges are proven when a model is exported, so kernels return nothing and check
 * nothing.
 *
 * Buffers need the alignment of their type (2 bytes for int16, 4 for tables and state). Rows on
 * 4-byte boundaries (even strides, as an exported model has them) take the fast paths; any other
 * alignment gives the same values slower.
 * No kernel reads or writes past the elements its description names. All are reentrant and need no
 * scratch but the stack, which the table at the end says of each. Every implementation, portable C,
 * Armv7E-M or MVE, gives the same values bit for bit, by any compiler at any optimization, with or
 * without a frame pointer or link-time optimization. None does what C leaves undefined, whatever
 * words inputs and states hold: where a proof of ranges does not reach (a state that was put there
 * from elsewhere) sums wrap modulo 2^32, and nothing else happens.
 */
#ifndef NN_H
#define NN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NN_VERSION 5 /* raised whenever a name, an integer or a packed layout changes */

/* Dense layer, or convolution over frames.
 *   acc[t][n] = bias[n] + sum_k w[n][k]*x[t*x_stride + k]
 *   y[t*y_stride + n] = clamp(requant(acc, shift, mult[n]), lo, hi)
 * x is read as one flat array: a convolution over `kernel` frames of C channels is in = kernel*C,
 * x_stride = stride*C. x and y must not overlap. |acc| << shift < 2^31 must hold for every x in
 * range, whatever the order of the sum. */
typedef struct {
    const void *weights; /* as export/c/pack.py pack_linear() packs (out, in) for this `frames` and
                            width; 4-byte aligned */
    const int32_t *bias; /* (out) */
    const int32_t *mult; /* (out), 0..2^31-1 */
    uint16_t in;         /* values of x in one sum, >= 1 */
    uint16_t out;        /* rows of w, >= 1 */
    uint16_t frames;     /* >= 1 */
    uint16_t x_stride;   /* int16 values from one frame of x to the next */
    uint16_t y_stride;   /* int16 values from one frame of y to the next, >= out */
    uint8_t shift;       /* 0..31 */
    int16_t lo, hi;      /* lo <= hi */
} nn_linear;
void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y); /* weights -127..127 */
/* weights -7..7, two to a byte */
void nn_linear_s4_s16(const nn_linear *op, const int16_t *x, int16_t *y);

/* The same layers for 128-bit vectors (MVE, Helium): in >= 16, and fast where in and x_stride are
 * even. `weights`, as pack_lanes() packs them, hold bias and mult as well: those two pointers are
 * not read. */
void nn_linear_s8_s16_mve(const nn_linear *op, const int16_t *x, int16_t *y); /* out >= 4 */
/* out >= 8, x in -128..127 */
void nn_linear_s8_s8_mve(const nn_linear *op, const int16_t *x, int16_t *y);

/* Mean of `factor` frames: y[t][c] = clamp(requant(sum_j x[t*factor + j][c], shift, mult), lo, hi).
 * x (frames*factor, features), y (frames, features); y == x allowed. */
typedef struct {
    int32_t mult;
    uint16_t factor; /* 1..65535 */
    uint16_t frames, features;
    uint8_t shift;
    int16_t lo, hi;
} nn_mean_pool;
void nn_mean_pool_s16(const nn_mean_pool *op, const int16_t *x, int16_t *y);

/* Largest of `factor` frames, >= 1, feature by feature: x (frames*factor, features), y (frames,
 * features); y == x allowed. */
void nn_max_pool_s16(const int16_t *x, int16_t *y, uint32_t factor, uint32_t frames,
                     uint32_t features);

/* Overlapping, shorter or delayed groups of frames, each copied as one frame: with the sequence s =
 * history then x,
 *   y[m][k] = s[skip + m*stride + k], k = 0..width-1
 * Afterwards history is the last `history` values of s.
 * x has windows*stride values and must reach as far as the last window. x and y must not overlap.
 * The caller zeroes the history before the first frame; it may be 0 where op->history is. All
 * counts are values, not frames.
 * With several bands the frames of each band's n = features / bands values lie side by side: y[m]
 * is (bands, frames, n) with frames = width / features, and stride, history and skip are multiples
 * of features. With a dilation d > 1 a window takes every d-th frame only, and reaches over
 * ((width / features - 1)*d + 1)*features values. */
typedef struct {
    uint32_t windows; /* frames of y */
    uint32_t width;   /* values of one frame of y */
    uint32_t stride;  /* values from one window to the next */
    uint32_t history; /* values kept from step to step */
    uint32_t skip;    /* values before the first window; 0 with a history */
    uint16_t features; /* values of one frame of x; read only with several bands or a dilation */
    uint16_t bands;    /* >= 1 */
    uint16_t dilation; /* >= 1; with one band and 1, windows are copied whole */
} nn_window;
void nn_window_s16(const nn_window *op, void *history, const int16_t *x, int16_t *y);

/* LayerNorm over n values of each row; y == x allowed.
 * gain and bias (n), |gain|, |bias| < 2^30; row r starts at r*stride of x and of y. */
typedef struct {
    uint64_t epsilon; /* 1..2^58 */
    const int32_t *gain, *bias;
    uint16_t n; /* 2..512 */
    uint16_t rows, stride;
    int16_t lo, hi;
} nn_layer_norm;
void nn_layer_norm_s16(const nn_layer_norm *op, const int16_t *x, int16_t *y);
/* The same without the mean: RMSNorm. */
void nn_rms_norm_s16(const nn_layer_norm *op, const int16_t *x, int16_t *y);

/* Diagonal state space with complex 16-bit state, one input and one output per channel; u, y
 * (frames, channels), y == u allowed.
 *   coefficients[(h*states + n)*2 + {0: a, 1: c}] and state[h*states + n] hold re in the low half,
 *   im in the high half
 *   channel[h*3 + {0: g, 1: d, 2: mult}]
 * The caller zeroes the state before the first frame. states >= 1. No sum may pass 2^31 for any
 * input and any state. */
typedef struct {
    const uint32_t *coefficients;
    const int32_t *channel;
    uint16_t channels, states, frames;
    uint8_t shift;
    int16_t lo, hi;
} nn_s4d;
void nn_s4d_s16(const nn_s4d *op, uint32_t *state, const int16_t *u, int16_t *y);

/* A function from a table of 257 points over int16, linear in between; n values, y == x allowed. */
void nn_lut_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n);

/* high where x >= 0, else 0; n values, y == x allowed. */
void nn_step_s16(const int16_t *x, int16_t *y, uint32_t n, int16_t high);

/* Gated linear unit: (rows, 2n) -> (rows, n), y[i] = x[i] * lut(x[n + i]) in each row; table is the
 * sigmoid in Q15, 0..32767. y == x allowed. */
void nn_glu_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n, uint32_t rows);

/* Saturating sum of n values; y may be a or b. */
void nn_add_s16(const int16_t *a, const int16_t *b, int16_t *y, uint32_t n);

/* Log-probabilities in units of 2^-fraction nats over n values of each frame; y == x allowed. n <=
 * 65535. */
typedef struct {
    int32_t mult;
    uint16_t n, frames;
    uint8_t shift;
    uint8_t fraction; /* 6..10 */
} nn_log_softmax;
void nn_log_softmax_s16(const nn_log_softmax *op, const int16_t *x, int16_t *y);

/* n values from x to y, which are the same place or do not overlap: what a join is made of. */
void nn_copy_s16(const int16_t *x, int16_t *y, uint32_t n);

/* 2^log2_factor frames for each, on straight lines: with r = 2^log2_factor and x[-1] = past,
 *   y[r*k + j] = (x[k - 1]*(r - j) + x[k]*j + (r >> 1)) >> log2_factor,  j = 0..r-1
 * Afterwards past is the last frame of x.
 * x (frames, features), past (features), y (r*frames, features); frames >= 1, log2_factor 0..8.
 * Nothing may overlap. The caller zeroes past before the first frame. */
void nn_interpolate_s16(const int16_t *x, int16_t *past, int16_t *y, uint32_t frames,
                        uint32_t features, uint32_t log2_factor);

/* LSTM cell, frame after frame: gates (frames, 4n) in the order i, f, g, o; y (frames, n); y ==
 * gates allowed.
 *   c = clamp(sigmoid(f)*c + sigmoid(i)*tanh(g)),  y = clamp16(sigmoid(o)*tanh(c)*mult)
 * cell (n) in steps of 2^-24, |c| < 2^30; the tables take gates and cell in steps of 2^-12 and give
 * Q15. The caller zeroes the cell before the first frame. */
typedef struct {
    const int16_t *sigmoid; /* (257), 0..32767 */
    const int16_t *tanh;    /* (257), -32767..32767 */
    int32_t mult;           /* 0..2^31-1; 2^16 gives y in Q15 */
    uint16_t n, frames;
} nn_lstm_cell;
void nn_lstm_cell_s16(const nn_lstm_cell *op, int32_t *cell, const int16_t *gates, int16_t *y);

/* GRU cell, frame after frame: gates (frames, 2n) in the order r, z; what the input (a) and what
 * the hidden state (b) adds to the new value, each (frames, n); y (frames, n), which overlaps none.
 *   new = tanh(a + sigmoid(r)*b*reset_mult),  h = clamp(new + sigmoid(z)*(h - new)),
 *   y = clamp16(h*mult)
 * hidden (n) in steps of 2^-24, |h| <= 2^24; the tables take gates and a in their own steps, b
 * comes to those of a by reset_mult, and both give Q15. The caller zeroes hidden before the first
 * frame. */
typedef struct {
    const int16_t *sigmoid; /* (257), 0..32767 */
    const int16_t *tanh;    /* (257), -32767..32767 */
    int32_t reset_mult;     /* 0..2^31-1; 2^16 where b has the steps of a */
    int32_t mult;           /* 0..2^31-1; 2^17 gives y in Q15 */
    uint16_t n, frames;
} nn_gru_cell;
void nn_gru_cell_s16(const nn_gru_cell *op, int32_t *hidden, const int16_t *gates, const int16_t *a,
                     const int16_t *b, int16_t *y);

/* Increments summed frame after frame, from the values that a stream begins with. x (frames, n),
 * or with positions > 0 a position and an increment side by side, (frames, 2n): as many first
 * frames give the sum itself. y (frames, n), y == x allowed. initial (n) is kept as it is. sum
 * holds n sums in steps of 2^-fraction of an output's, and behind them the count of frames that
 * gave a position, up to positions: the caller zeroes these n + 1 words before the first frame. */
typedef struct {
    uint16_t n, frames;
    uint32_t positions;
    uint8_t fraction; /* 0..14 */
} nn_integrate;
void nn_integrate_s16(const nn_integrate *op, const int16_t *initial, int32_t *sum,
                      const int16_t *x, int16_t *y);

/* Where the sums of nn_integrate_s16 stand before its next frame, what a join reads of it: y
 * (n). Nothing changes. */
void nn_integral_s16(const nn_integrate *op, const int16_t *initial, const int32_t *sum,
                     int16_t *y);

/* What a convolution over frames and columns sees of one step, zeros where it sees nothing, so that
 * it gives as many of both:
 *   y[t][w][a][b] = x[t + a - (kernel_frames - 1) / 2][w + b - (kernel_columns - 1) / 2]
 * x (frames, width, n), y (frames, width, kernel_frames, kernel_columns, n); x and y must not
 * overlap. Kernels >= 1. Of a step in pieces, x is the first frame of the piece, with frames of the
 * same step in front of it and behind it.
 * x may be smaller, (frames / factor, width / copies, n): it is seen as nn_repeat_s16 would enlarge
 * it. */
typedef struct {
    uint16_t frames, width, n;
    uint8_t kernel_frames, kernel_columns;
    uint8_t before, after; /* frames in front of the piece and behind it that can be seen; 0: zeros
                              are */
    uint8_t factor, copies; /* >= 1, divisors of frames and width */
} nn_patches;
void nn_patches_s16(const nn_patches *op, const int16_t *x, int16_t *y);

/* Nearest-neighbour upsampling: each frame `factor` times, in it each of `width` columns of n
 * values `copies` times, all >= 1. x (frames, width, n), y (frames*factor, width*copies, n); x and
 * y must not overlap. */
void nn_repeat_s16(const int16_t *x, int16_t *y, uint32_t frames, uint32_t width, uint32_t n,
                   uint32_t factor, uint32_t copies);

/* --- filters ---------------------------------------------------------------------------------- */

/* One filter for each channel: x (frames, kernel, channels), y (frames, channels), which must not
 * overlap.
 *   y[t][c] = clamp(requant(bias[c] + sum_i w[c][i]*x[t][i][c], shift, mult[c]), lo, hi)
 * |acc| << shift < 2^31 must hold for every x in range, whatever the order of the sum. */
typedef struct {
    const int16_t *weights; /* ((kernel + 1) / 2, channels, 2): two taps of a channel side by side,
                               a last one by itself beside a zero; 4-byte aligned */
    const int32_t *bias;    /* (channels) */
    const int32_t *mult;    /* (channels), 0..2^31-1 */
    uint16_t channels, kernel, frames; /* >= 1 */
    uint8_t shift;
    int16_t lo, hi;
} nn_depthwise;
void nn_depthwise_s8_s16(const nn_depthwise *op, const int16_t *x, int16_t *y);

/* --- attention -------------------------------------------------------------------------------- */

/* Both products of attention. `frames` frames of `heads` heads; each attends to `keys` keys, or
 * values, of `depth` numbers: (keys, heads, depth), which all frames share, or a frame each its
 * own, one such after the other. Nothing may overlap.
 *   y = clamp(smmulr((acc + 2^(bits - 1)) >> bits, mult), lo, hi)
 * without the half where bits = 0. */
typedef struct {
    int32_t mult; /* 0..2^31-1 */
    uint16_t frames, keys, heads, depth;
    uint8_t shared; /* whether all frames see the same keys */
    uint8_t bits;   /* 0..31; the shortened sum keeps to 31 bits */
    int16_t lo, hi;
} nn_attention;
/* acc = sum_d queries[t][h][d]*keys[k][h][d] in 64 bits; queries (frames, heads, depth), y (frames,
 * heads, keys) */
void nn_attention_scores_s16(const nn_attention *op, const int16_t *queries, const int16_t *keys,
                             int16_t *y);
/* acc = sum_k weights[t][h][k]*values[k][h][d] in 32 bits; weights (frames, heads, keys), of which
 * each row is what nn_softmax_s16 gives, y (frames, heads, depth) */
void nn_attention_context_s16(const nn_attention *op, const int16_t *weights, const int16_t *values,
                              int16_t *y);

/* Softmax in Q15, 0..32767, over n values of each row; y == x allowed. */
typedef struct {
    int32_t mult;     /* 0..2^31-1; with shift from steps of x to steps of 2^-11 nats */
    uint16_t n, rows; /* n in 1..32768 */
    uint8_t shift;    /* 0..15 */
} nn_softmax;
void nn_softmax_s16(const nn_softmax *op, const int16_t *x, int16_t *y);

/* --- values moved and joined ------------------------------------------------------------------ */

/* What a convolution over the frames of one window sees of it:
 *   y[j][b][i] = x[j*step + i*dilation - before][b], n = features / bands values each,
 * zeros outside of the window, or with `edge` its first and its last frame. x (frames, bands, n), y
 * (outputs, bands, kernel, n); x and y must not overlap. A step of 0 repeats frames. */
typedef struct {
    int32_t before;
    uint16_t frames, outputs, features; /* >= 1 */
    uint16_t kernel, step, dilation, bands; /* >= 1; step >= 0 */
    uint8_t edge;
} nn_window_unfold;
void nn_window_unfold_s16(const nn_window_unfold *op, const int16_t *x, int16_t *y);

/* A part of a join, brought to its scale: y[r*stride + i] = clamp(requant(x[r*n + i], shift, mult),
 * lo, hi), i = 0..n-1. x and y must not overlap. shift 0..15. */
typedef struct {
    int32_t mult; /* 0..2^31-1; 2^30 with a shift of 2 is a factor of one */
    uint16_t n, rows, stride;
    uint8_t shift;
    int16_t lo, hi;
} nn_rescale;
void nn_rescale_s16(const nn_rescale *op, const int16_t *x, int16_t *y);

/* y[r*n + i] = x[r*features + index[i]], i = 0..n-1; x and y must not overlap. */
void nn_gather_s16(const uint16_t *index, const int16_t *x, int16_t *y, uint32_t rows,
                   uint32_t features, uint32_t n);

/* Products of n values, clamp(smmulr(a*b, mult), lo, hi); y may be a or b. */
typedef struct {
    int32_t mult; /* 0..2^31-1 */
    uint32_t n;
    int16_t lo, hi;
} nn_multiply;
void nn_multiply_s16(const nn_multiply *op, const int16_t *a, const int16_t *b, int16_t *y);

/* Saturating difference a - b of n values; y may be a or b. */
void nn_subtract_s16(const int16_t *a, const int16_t *b, int16_t *y, uint32_t n);

/* n values held to lo..hi; y == x allowed. */
void nn_clamp_s16(const int16_t *x, int16_t *y, uint32_t n, int16_t lo, int16_t hi);

/* --- steps ------------------------------------------------------------------------------------ */

/* At the begin of a step over a window of its own: recurrent state (bytes, of any types) begins
 * anew. */
void nn_clear(void *state, uint32_t bytes);

/* At the end of a step: counts it in *steps while that is below `until`, and then clears `state`
 * (bytes, of any types), so that states begin from zero with step number `until`, counted from 0. A
 * step calls it once for all states that begin together. */
void nn_start_up(uint32_t *steps, uint32_t until, void *state, uint32_t bytes);

/* --- stack ------------------------------------------------------------------------------------ */

/* Bytes of stack that a kernel needs with all it calls but memcpy() and memset(): the larger of
 * what gcc 12 and clang 19 say at -O3, as projects build kernels.
 * At -O0 a kernel needs up to 1288 on an M55 and 416 on the others, small ones up to nine times
 * what stands here.
 *
 * kernel                        M4    M7   M33   M55  computer
 * nn_add_s16                    20    24    20    12        32
 * nn_attention_context_s16     376   376   376   416        64
 * nn_attention_scores_s16      256   256   256   368       136
 * nn_clamp_s16                  32    32    32     8        56
 * nn_clear                       8     8     8     8         8
 * nn_copy_s16                   24    24    24    12         8
 * nn_depthwise_s8_s16          232   232   232   232        56
 * nn_gather_s16                 44    44    44    32         8
 * nn_glu_s16                    64    64    64   144        56
 * nn_gru_cell_s16              104   112   112   368        56
 * nn_integral_s16               24    24    24    24        16
 * nn_integrate_s16              96   104    96   120       200
 * nn_interpolate_s16           112   112   112   144       120
 * nn_layer_norm_s16            176   176   176   104       216
 * nn_linear_s4_s16             204   204   204   220        56
 * nn_linear_s8_s16             180   172   180   192      2776
 * nn_linear_s8_s16_mve         100   100   100   220        56
 * nn_linear_s8_s8_mve          100   104   100   164        56
 * nn_log_softmax_s16            80    80    88    96        72
 * nn_lstm_cell_s16             120   128   104   408        64
 * nn_lut_s16                    32    36    32    96        40
 * nn_max_pool_s16               80    80    80    36        56
 * nn_mean_pool_s16              88    88    88    80        88
 * nn_multiply_s16               56    56    56    60        56
 * nn_patches_s16               104   104   104   104       168
 * nn_repeat_s16                 92    72    92    92        56
 * nn_rescale_s16                96    96    96   112        56
 * nn_rms_norm_s16              168   168   168   104       184
 * nn_s4d_s16                    64    64    64    96        72
 * nn_softmax_s16               124   124   124   144        56
 * nn_start_up                    8     8     8     8         8
 * nn_step_s16                   32    36    32    16         8
 * nn_subtract_s16               20    24    20    12        32
 * nn_window_s16                144   144   144   136       376
 * nn_window_unfold_s16         144   144   144   144       328
 */

#ifdef __cplusplus
}
#endif

#endif
