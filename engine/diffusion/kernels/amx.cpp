// bfloat16 kernels for processors with AMX: products with packed weights, attention, norms, padding.
//
// Tensors are channels-last and dense; a feature map (batch, c, h, w) is a matrix of batch·h·w rows of c numbers.
// Sums are float32 and rounded once, at the end. `ops.py` says what each function takes. Every parallel region puts the
// tile configuration back as it found it, because oneDNN remembers its own.

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

using bf16 = uint16_t;

namespace {

constexpr int ROWS = 32;            // of a block of output: two tiles
constexpr int COLUMNS = 32;         // of a panel of weights: two tiles
constexpr int TILE = 512;           // numbers in a tile
constexpr long CHUNK_BYTES = 1 << 20;  // of activations that one task walks over: half of the second-level cache
constexpr int CHUNK_BLOCKS = 24;
constexpr int64_t NOWHERE = -1;
constexpr int KEYS = 256;           // of attention at a time: a row of scores is 16 vectors

struct alignas(64) TileConfig {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

class Tiles {  // eight whole tiles, for as long as this lives
public:
    Tiles() {
        _tile_storeconfig(&before);
        TileConfig mine;
        _tile_loadconfig(&mine);
    }
    ~Tiles() {
        if (before.palette) _tile_loadconfig(&before);
        else _tile_release();
    }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;

private:
    TileConfig before;
};

inline __m512 wide(__m256i x) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16)); }
inline __m512 load16(const bf16* p) { return wide(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
inline void store16(bf16* p, __m512 x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}
inline void store32(bf16* p, __m512 low, __m512 high) {
    _mm512_storeu_si512(p, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

inline __m512 exp2_(__m512 x) {  // 2^x, relative error 2e-7
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 r = _mm512_sub_ps(x, whole);
    __m512 p = _mm512_set1_ps(1.5403530e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3333558e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.6181291e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.5504109e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.4022651e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.9314718e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, whole);
}
inline __m512 exp2_roughly(__m512 x) {  // relative error 4e-5, a hundredth of what rounding to bfloat16 does
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 r = _mm512_sub_ps(x, whole);
    __m512 p = _mm512_set1_ps(9.6181291e-3f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.5504109e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.4022651e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.9314718e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, whole);
}
constexpr float LOG2E = 1.44269504f;
inline __m512 exp_(__m512 x) { return exp2_(_mm512_mul_ps(x, _mm512_set1_ps(LOG2E))); }

inline __m512 inverse_(__m512 x) {  // 1/x of a finite x that is at least 1, relative error 1e-8; dividing takes thrice as long
    const __m512 y = _mm512_rcp14_ps(x);
    return _mm512_mul_ps(y, _mm512_fnmadd_ps(x, y, _mm512_set1_ps(2.0f)));
}

inline __m512 silu_(__m512 x) {
    const __m512 power = _mm512_min_ps(_mm512_set1_ps(87.0f), _mm512_sub_ps(_mm512_setzero_ps(), x));  // e^87 is finite
    return _mm512_mul_ps(x, inverse_(_mm512_add_ps(_mm512_set1_ps(1.0f), exp_(power))));
}

inline __m512 gelu_(__m512 x) {  // exact form; erf after Abramowitz and Stegun 7.1.26, error 1.5e-7
    const __m512 one = _mm512_set1_ps(1.0f);
    // beyond 10 erfc is 0
    const __m512 z = _mm512_min_ps(_mm512_set1_ps(10.0f), _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678f)));
    const __m512 t = inverse_(_mm512_fmadd_ps(_mm512_set1_ps(0.3275911f), z, one));
    __m512 p = _mm512_set1_ps(1.061405429f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
    p = _mm512_mul_ps(p, t);
    const __m512 tail = _mm512_mul_ps(p, exp_(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(z, z))));  // erfc(z)
    const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
    const __m512 twice = _mm512_mask_mov_ps(_mm512_sub_ps(_mm512_set1_ps(2.0f), tail), negative, tail);  // 1 + erf
    return _mm512_mul_ps(_mm512_mul_ps(x, _mm512_set1_ps(0.5f)), twice);
}

// Numbers of a kind (see easel_pack) to bfloat16.
inline void to_bf16(const char* source, int kind, bf16* out, size_t count) {
    if (kind == 0) {
        std::memcpy(out, source, count * 2);
        return;
    }
    for (size_t i = 0; i < count; i += 16) {
        const __mmask16 mask = count - i >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (count - i)) - 1);
        const __m512 x = kind == 1 ? _mm512_maskz_loadu_ps(mask, reinterpret_cast<const float*>(source) + i)
                                   : _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, source + 2 * i));
        _mm256_mask_storeu_epi16(out + i, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
    }
}

// The weights of a 3×3 convolution's column, [depth][9], as [9][depth]; depth is a multiple of 32.
inline void taps_first(const bf16* line, int depth, bf16* row) {
    struct Table {
        alignas(64) uint16_t lane[9][32];
        __mmask32 from[9][9];  // of tap t's 32 numbers, those that lie in vector v
        constexpr Table() : lane(), from() {
            for (int t = 0; t < 9; ++t)
                for (int c = 0; c < 32; ++c) {
                    lane[t][c] = static_cast<uint16_t>((9 * c + t) % 32);
                    from[t][(9 * c + t) / 32] |= 1u << c;
                }
        }
    };
    static constexpr Table table;
    for (int c = 0; c < depth; c += 32, line += 9 * 32) {
        __m512i v[9];
        for (int j = 0; j < 9; ++j) v[j] = _mm512_loadu_si512(line + 32 * j);
        for (int t = 0; t < 9; ++t) {
            const __m512i lane = _mm512_load_si512(table.lane[t]);
            __m512i made = _mm512_setzero_si512();
            for (int j = 0; j < 9; ++j) made = _mm512_mask_permutexvar_epi16(made, table.from[t][j], lane, v[j]);
            _mm512_storeu_si512(row + static_cast<size_t>(t) * depth + c, made);
        }
    }
}

// A tile of weights: 16 columns, `step` numbers from one to the next, of 16 pairs, to 16 pairs of 16 columns.
inline void transpose16(const bf16* from, size_t step, bf16* out) {
    __m512i r[16], t[16];
    for (int i = 0; i < 16; ++i) r[i] = _mm512_loadu_si512(from + i * step);
    for (int i = 0; i < 16; i += 2) t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]), t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    for (int i = 0; i < 16; i += 4) {  // r[i + j]: in each quarter q, pair 4q + j of columns i to i + 3
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]), r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]), r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int j = 0; j < 4; ++j) {
        const __m512i even = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88), odd = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xDD);
        const __m512i even_ = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
        const __m512i odd_ = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xDD);
        _mm512_storeu_si512(out + j * 32, _mm512_shuffle_i32x4(even, even_, 0x88));
        _mm512_storeu_si512(out + (j + 4) * 32, _mm512_shuffle_i32x4(odd, odd_, 0x88));
        _mm512_storeu_si512(out + (j + 8) * 32, _mm512_shuffle_i32x4(even, even_, 0xDD));
        _mm512_storeu_si512(out + (j + 12) * 32, _mm512_shuffle_i32x4(odd, odd_, 0xDD));
    }
}

bool fill(int file, char* out, size_t nbytes, int64_t offset) {  // from a file, from there on; false if it ends before
    while (nbytes) {
        const ssize_t got = pread(file, out, nbytes, offset);
        if (got <= 0) return false;
        out += got, nbytes -= static_cast<size_t>(got), offset += got;
    }
    return true;
}

}  // namespace

// Everything a product needs. Rows of `a` come in images: row r of image i of segment s starts at
// a[s] + i·image_step[s] + r·row_step[s] numbers. It is row y = r / pitch, x = r % pitch of the output, kept if it lies
// within width and height, and goes to i·out_image + y·out_y + x·out_x numbers.
struct Product {
    const bf16* a[16];
    int64_t image_step[16], row_step[16];
    int64_t out_image, out_y, out_x;
    int32_t depth[16];  // numbers of a row that count, a multiple of 32
    int32_t segments, images, rows, pitch, width, height, columns, gated, threads, whole, layers;
    // packed: panels of 32 columns, segments, depth; one after the other, as many columns each, up to three of them
    const bf16* weights[3];
    const bf16* bias[3];   // (columns of one) or null
    const bf16* shift;     // (images, columns), added to all rows of an image, or null
    const bf16* residual;  // like out, or null
    bf16* out;             // half as many columns where gated
};

extern "C" {

int easel_begin() {  // ask the kernel for the tile registers; 0 where it grants them
    constexpr int REQUEST = 0x1023, TILE_DATA = 18;
    return static_cast<int>(syscall(SYS_arch_prctl, REQUEST, TILE_DATA));
}

// Weights (columns, depth, taps: 1 or 9), dense, into panels [columns/32][taps][depth/32][2][16 pairs][16 columns][2].
// kind: 0 bfloat16, 1 float32, 2 float16. gated: the columns' halves take turns, 16 by 16. They are at `source`, or, where
// that is null, in a file at `offset`. 0, or 1 if the file ends before they do.
int easel_pack(const void* source, int file, int64_t offset, int kind, bf16* packed, int columns, int depth, int taps,
               int gated, int threads) {
    const int panels = columns / COLUMNS, blocks = depth / 32;
    const size_t count = static_cast<size_t>(depth) * taps, each = kind == 1 ? 4 : 2;
    int failed = 0;
#pragma omp parallel num_threads(threads) reduction(| : failed)
    {
        std::unique_ptr<char[]> from_file(source ? nullptr : new char[COLUMNS * count * each]);
        std::unique_ptr<bf16[]> line(new bf16[count]), sorted(new bf16[COLUMNS * count]);
#pragma omp for schedule(dynamic, 1)
        for (int panel = 0; panel < panels; ++panel) {
            for (int n = 0; n < COLUMNS; n += 16) {
                const int column = gated ? (n / 16) * (columns / 2) + panel * 16 : panel * COLUMNS + n;
                const size_t start = column * count * each, nbytes = 16 * count * each;
                const char* raw = static_cast<const char*>(source) + start;
                if (!source) {
                    raw = from_file.get();
                    if (!fill(file, from_file.get(), nbytes, offset + static_cast<int64_t>(start))) failed = 1;
                }
                for (int r = 0; r < 16; ++r) {  // to bfloat16, each row [taps][depth]
                    bf16* row = sorted.get() + (n + r) * count;
                    to_bf16(raw + r * count * each, kind, taps == 1 ? row : line.get(), count);
                    if (taps == 9) taps_first(line.get(), depth, row);
                }
            }
            bf16* place = packed + static_cast<size_t>(panel) * COLUMNS * count;
            for (int block = 0; block < taps * blocks; ++block, place += 2 * TILE)
                for (int n = 0; n < COLUMNS; n += 16)
                    transpose16(sorted.get() + n * count + static_cast<size_t>(block) * 32, count, place + n / 16 * TILE);
        }
    }
    return failed;
}

static inline int first_row(const Product& g, int block) {  // where rows are all there is, nothing lies behind the last
    return g.whole ? std::min(block * ROWS, g.rows - ROWS) : block * ROWS;
}

void easel_product(const Product* product) {
    const Product& g = *product;
    const int blocks = (g.rows + ROWS - 1) / ROWS, panels = g.columns / COLUMNS, all = g.images * blocks;
    int64_t depth = 0, widest = 0;
    for (int s = 0; s < g.segments; ++s) depth += g.depth[s], widest = std::max(widest, g.row_step[s]);
    int chunk = static_cast<int>(std::clamp<int64_t>(CHUNK_BYTES / (ROWS * 2 * widest), 2, CHUNK_BLOCKS));
    const int chunks = (all + chunk - 1) / chunk;
    chunk = (all + chunks - 1) / chunks;
    const int wanted = (3 * g.threads + chunks - 1) / chunks;  // groups of panels: tasks enough for every thread
    const int panels_each = panels / g.layers;
    const int groups = chunks >= 4 * g.threads ? 1 : std::min(panels, chunks == 1 ? panels : wanted);

#pragma omp parallel num_threads(g.threads)
    {
        Tiles tiles;
        alignas(64) float scratch[ROWS * COLUMNS];
        int64_t places[CHUNK_BLOCKS][ROWS];  // where the rows go, those that are left out to nowhere
#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < chunks * groups; ++task) {
            const int first = task / groups * chunk, last = std::min(all, first + chunk);
            const int from = static_cast<int>(static_cast<int64_t>(task % groups) * panels / groups);
            const int to = static_cast<int>(static_cast<int64_t>(task % groups + 1) * panels / groups);
            for (int each = first; each < last; ++each) {
                const int row = first_row(g, each % blocks);
                int y = row / g.pitch, x = row % g.pitch;
                for (int r = 0; r < ROWS; ++r, ++x) {
                    if (x == g.pitch) x = 0, ++y;
                    places[each - first][r] =
                        x < g.width && y < g.height ? each / blocks * g.out_image + y * g.out_y + x * g.out_x : NOWHERE;
                }
            }
            for (int panel = from; panel < to; ++panel) {
                const int half = g.columns / 2, column = g.gated ? panel * 16 : panel * COLUMNS;
                const int second = g.gated ? half + column : column + 16;
                __m512 bias_low = _mm512_setzero_ps(), bias_high = bias_low;
                const int layer = panel / panels_each, from_here = layer * panels_each * COLUMNS;
                if (const bf16* bias = g.bias[layer])
                    bias_low = load16(bias + column - from_here), bias_high = load16(bias + second - from_here);
                const bf16* weights = g.weights[layer] + static_cast<size_t>(panel % panels_each) * COLUMNS * depth;
                for (int each = first; each < last; ++each) {
                    const int image = each / blocks, row = first_row(g, each % blocks);
                    const bool one = !g.whole && row + 16 >= g.rows;  // the second tile would be empty
                    const int64_t* place = places[each - first];
                    for (int r = 0; r < ROWS; ++r) {  // what the end of this block touches comes while the tiles work
                        if (place[r] == NOWHERE) continue;
                        _mm_prefetch(reinterpret_cast<const char*>(g.out + place[r] + column), _MM_HINT_ET0);
                        if (g.residual)
                            _mm_prefetch(reinterpret_cast<const char*>(g.residual + place[r] + column), _MM_HINT_T0);
                    }
                    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
                    const bf16* b = weights;
                    // meanwhile a part of the next panel comes to the second-level cache
                    const char* soon = reinterpret_cast<const char*>(b) + static_cast<size_t>(COLUMNS) * depth * 2;
                    const long part = std::max<long>(64, COLUMNS * 64 / (last - first) / 64 * 64 + 64);
                    soon += (each - first) * part * (depth / 32);
                    if (panel + 1 == to || (panel + 1) % panels_each == 0) soon = reinterpret_cast<const char*>(b);
                    for (int s = 0; s < g.segments; ++s) {
                        const bf16* a = g.a[s] + image * g.image_step[s] + row * g.row_step[s];
                        const bf16* lower = a + 16 * g.row_step[s];
                        const long step = g.row_step[s] * 2;
                        const int steps = g.depth[s] / 32;
                        if (one) {
                            for (int k = 0; k < steps; ++k, a += 32, b += 2 * TILE) {
                                _tile_loadd(4, a, step);
                                _tile_loadd(6, b, 64);
                                _tile_loadd(7, b + TILE, 64);
                                _tile_dpbf16ps(0, 4, 6);
                                _tile_dpbf16ps(1, 4, 7);
                            }
                        } else {
                            for (int k = 0; k < steps; ++k, a += 32, lower += 32, b += 2 * TILE) {
                                for (long line = 0; line < part; line += 64) _mm_prefetch(soon + line, _MM_HINT_T1);
                                soon += part;
                                _tile_loadd(6, b, 64);
                                _tile_loadd(4, a, step);
                                _tile_dpbf16ps(0, 4, 6);
                                _tile_loadd(7, b + TILE, 64);
                                _tile_dpbf16ps(1, 4, 7);
                                _tile_loadd(5, lower, step);
                                _tile_dpbf16ps(2, 5, 6);
                                _tile_dpbf16ps(3, 5, 7);
                            }
                        }
                    }
                    _tile_stored(0, scratch, COLUMNS * 4);
                    _tile_stored(1, scratch + 16, COLUMNS * 4);
                    _tile_stored(2, scratch + 16 * COLUMNS, COLUMNS * 4);
                    _tile_stored(3, scratch + 16 * COLUMNS + 16, COLUMNS * 4);

                    __m512 low = bias_low, high = bias_high;
                    if (g.shift) {
                        const bf16* shift = g.shift + static_cast<size_t>(image) * g.columns;
                        low = _mm512_add_ps(low, load16(shift + column));
                        high = _mm512_add_ps(high, load16(shift + second));
                    }
                    for (int r = 0; r < ROWS; ++r) {
                        if (place[r] == NOWHERE) continue;
                        __m512 u = _mm512_add_ps(_mm512_load_ps(scratch + r * COLUMNS), low);
                        __m512 v = _mm512_add_ps(_mm512_load_ps(scratch + r * COLUMNS + 16), high);
                        bf16* out = g.out + place[r] + column;
                        if (g.gated) {
                            store16(out, _mm512_mul_ps(u, gelu_(v)));
                            continue;
                        }
                        if (g.residual) {
                            const bf16* residual = g.residual + place[r] + column;
                            u = _mm512_add_ps(u, load16(residual));
                            v = _mm512_add_ps(v, load16(residual + 16));
                        }
                        store32(out, u, v);
                    }
                }
            }
        }
    }
}

// Weights of a 3×3 convolution, packed, to those of four 2×2 convolutions (y, x each 0 or 1) that make the same of a map
// as the 3×3 one makes of it twice enlarged: where two or four taps read one pixel, their sum. [4][panels][4][depth·32].
void easel_fold(const bf16* packed, bf16* folded, int panels, int64_t size, int threads) {
    static constexpr int TAPS[2][2][2] = {{{0, 0}, {1, 2}}, {{0, 1}, {2, 2}}};  // first and last tap of a row, or column
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int item = 0; item < 16 * panels; ++item) {
        const int tap = item % 4, panel = item / 4 % panels, phase = item / 4 / panels;
        const int *ys = TAPS[phase / 2][tap / 2], *xs = TAPS[phase % 2][tap % 2];
        bf16* place = folded + static_cast<size_t>(item) * size;
        for (int64_t i = 0; i < size; i += 32) {
            __m512 low = _mm512_setzero_ps(), high = low;
            for (int y = ys[0]; y <= ys[1]; ++y)
                for (int x = xs[0]; x <= xs[1]; ++x) {
                    const bf16* from = packed + (static_cast<size_t>(panel) * 9 + y * 3 + x) * size + i;
                    low = _mm512_add_ps(low, load16(from));
                    high = _mm512_add_ps(high, load16(from + 16));
                }
            store32(place + i, low, high);
        }
    }
}

// softmax(q·kᵀ·scale)·v. q (batch, queries, heads·width), k and v (batch, keys, heads·width) by steps in numbers;
// out (batch, queries, heads·width), dense.
void easel_attention(const bf16* q, const bf16* k, const bf16* v, bf16* out, int batch, int heads, int queries,
                     int keys, int width, int64_t q_batch, int64_t q_row, int64_t k_batch, int64_t k_row,
                     int64_t v_batch, int64_t v_row, float scale, int threads) {
    const int deep = (width + 31) / 32 * 32, wide_ = (width + 15) / 16 * 16, padded = (keys + 31) / 32 * 32;
    const int both = batch * heads, per_query = 512, parts = (queries + per_query - 1) / per_query;
    const size_t k_size = static_cast<size_t>(padded) * deep, v_size = static_cast<size_t>(padded) * wide_;
    // keys: [32 keys][deep/32][2 tiles][16 pairs][16 keys][2]; values: [32 keys][wide/16][16 pairs][16][2]
    std::unique_ptr<bf16[]> memory(new bf16[both * (k_size + v_size) + 64]);
    bf16* start = reinterpret_cast<bf16*>((reinterpret_cast<uintptr_t>(memory.get()) + 63) & ~uintptr_t{63});
    bf16 *packed_k = start, *packed_v = start + both * k_size;

#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int item = 0; item < both * (padded / 32); ++item) {
            const int head = item / (padded / 32), block = item % (padded / 32);
            const bf16* ks = k + head / heads * k_batch + head % heads * width;
            const bf16* vs = v + head / heads * v_batch + head % heads * width;
            bf16* kd = packed_k + head * k_size + static_cast<size_t>(block) * 32 * deep;
            bf16* vd = packed_v + head * v_size + static_cast<size_t>(block) * 32 * wide_;
            std::memset(kd, 0, static_cast<size_t>(32) * deep * 2);
            std::memset(vd, 0, static_cast<size_t>(32) * wide_ * 2);
            const int there = std::min(32, keys - block * 32);
            for (int n = 0; n < there; ++n) {
                const bf16* key = ks + static_cast<size_t>(block * 32 + n) * k_row;
                const bf16* value = vs + static_cast<size_t>(block * 32 + n) * v_row;
                for (int c = 0; c < width; ++c) {
                    kd[((c / 32) * 2 + n / 16) * TILE + (c % 32 / 2) * 32 + (n % 16) * 2 + c % 2] = key[c];
                    vd[(c / 16) * TILE + (n / 2) * 32 + (c % 16) * 2 + n % 2] = value[c];
                }
            }
        }

        Tiles tiles;
        std::unique_ptr<char[]> own(new char[ROWS * (deep * 2 + KEYS * 4 + KEYS * 2 + wide_ * 4) + 256]);
        char* place = reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(own.get()) + 63) & ~uintptr_t{63});
        bf16* query = reinterpret_cast<bf16*>(place);
        float* scores = reinterpret_cast<float*>(place + ROWS * deep * 2);
        bf16* chances = reinterpret_cast<bf16*>(place + ROWS * (deep * 2 + KEYS * 4));
        float* sums = reinterpret_cast<float*>(place + ROWS * (deep * 2 + KEYS * 4 + KEYS * 2));
        alignas(64) float most[ROWS], total[ROWS * 16];  // a row's total is the sum of 16
        const __m512 unit = _mm512_set1_ps(scale * LOG2E);

#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < both * parts; ++task) {
            const int head = task / parts, end = std::min(queries, (task % parts + 1) * per_query);
            const bf16* qs = q + head / heads * q_batch + head % heads * width;
            bf16* os = out + (static_cast<size_t>(head / heads) * queries * heads + head % heads) * width;
            for (int row = task % parts * per_query; row < end; row += ROWS) {
                const int rows = std::min(ROWS, end - row);
                std::memset(query, 0, static_cast<size_t>(ROWS) * deep * 2);
                for (int r = 0; r < rows; ++r)
                    std::memcpy(query + r * deep, qs + static_cast<size_t>(row + r) * q_row, width * 2);
                std::memset(sums, 0, static_cast<size_t>(ROWS) * wide_ * 4);
                std::fill(most, most + ROWS, -INFINITY);
                std::fill(total, total + ROWS * 16, 0.0f);

                for (int key = 0; key < padded; key += KEYS) {
                    const int here = std::min(KEYS, padded - key);
                    if (deep == 64) {  // the queries stay in four tiles
                        _tile_loadd(4, query, 128);
                        _tile_loadd(5, query + 32, 128);
                        _tile_loadd(6, query + 16 * 64, 128);
                        _tile_loadd(7, query + 16 * 64 + 32, 128);
                        for (int n = 0; n < here; n += 16) {
                            const bf16* b = packed_k + head * k_size + static_cast<size_t>(key + n / 32 * 32) * 64
                                + n % 32 / 16 * TILE;
                            _tile_zero(0); _tile_zero(1);
                            _tile_loadd(2, b, 64);
                            _tile_loadd(3, b + 2 * TILE, 64);
                            _tile_dpbf16ps(0, 4, 2);
                            _tile_dpbf16ps(1, 6, 2);
                            _tile_dpbf16ps(0, 5, 3);
                            _tile_dpbf16ps(1, 7, 3);
                            _tile_stored(0, scores + n, KEYS * 4);
                            _tile_stored(1, scores + 16 * KEYS + n, KEYS * 4);
                        }
                    } else for (int n = 0; n < here; n += 32) {
                        const bf16* b = packed_k + head * k_size + static_cast<size_t>(key + n) * deep;
                        _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
                        for (int c = 0; c < deep; c += 32, b += 2 * TILE) {
                            _tile_loadd(6, b, 64);
                            _tile_loadd(4, query + c, deep * 2);
                            _tile_dpbf16ps(0, 4, 6);
                            _tile_loadd(7, b + TILE, 64);
                            _tile_dpbf16ps(1, 4, 7);
                            _tile_loadd(5, query + 16 * deep + c, deep * 2);
                            _tile_dpbf16ps(2, 5, 6);
                            _tile_dpbf16ps(3, 5, 7);
                        }
                        _tile_stored(0, scores + n, KEYS * 4);
                        _tile_stored(1, scores + n + 16, KEYS * 4);
                        _tile_stored(2, scores + 16 * KEYS + n, KEYS * 4);
                        _tile_stored(3, scores + 16 * KEYS + n + 16, KEYS * 4);
                    }
                    const int left = keys - key;  // real keys of this part
                    alignas(64) float peak[ROWS], fade[ROWS];
                    for (int r = 0; r < ROWS; ++r) {
                        float* line = scores + r * KEYS;
                        for (int n = left; n < here; ++n) line[n] = -INFINITY;
                        __m512 top = _mm512_load_ps(line), beside = _mm512_load_ps(line + 16);
                        for (int n = 32; n < here; n += 32) {
                            top = _mm512_max_ps(top, _mm512_load_ps(line + n));
                            beside = _mm512_max_ps(beside, _mm512_load_ps(line + n + 16));
                        }
                        peak[r] = _mm512_reduce_max_ps(_mm512_max_ps(top, beside));
                    }
                    __mmask16 moved = 0;
                    for (int r = 0; r < ROWS; r += 16) {
                        const __m512 before = _mm512_load_ps(most + r);
                        const __m512 after = _mm512_max_ps(before, _mm512_mul_ps(_mm512_load_ps(peak + r), unit));
                        moved |= _mm512_cmp_ps_mask(before, after, _CMP_NEQ_UQ);
                        _mm512_store_ps(fade + r, exp2_(_mm512_sub_ps(before, after)));
                        _mm512_store_ps(most + r, after);
                    }
                    if (moved)
                        for (int r = 0; r < ROWS; ++r) {
                            const __m512 by = _mm512_set1_ps(fade[r]);
                            _mm512_store_ps(total + r * 16, _mm512_mul_ps(_mm512_load_ps(total + r * 16), by));
                            for (int c = 0; c < wide_; c += 16)
                                _mm512_store_ps(sums + r * wide_ + c,
                                                _mm512_mul_ps(_mm512_load_ps(sums + r * wide_ + c), by));
                        }
                    for (int r = 0; r < ROWS; ++r) {
                        const float* line = scores + r * KEYS;
                        const __m512 base = _mm512_set1_ps(most[r]);
                        __m512 sum = _mm512_load_ps(total + r * 16), more = _mm512_setzero_ps();
                        for (int n = 0; n < here; n += 32) {
                            const __m512 u = exp2_roughly(_mm512_fmsub_ps(_mm512_load_ps(line + n), unit, base));
                            const __m512 w = exp2_roughly(_mm512_fmsub_ps(_mm512_load_ps(line + n + 16), unit, base));
                            sum = _mm512_add_ps(sum, u);
                            more = _mm512_add_ps(more, w);
                            store32(chances + r * KEYS + n, u, w);
                        }
                        _mm512_store_ps(total + r * 16, _mm512_add_ps(sum, more));
                    }
                    const bf16* values = packed_v + head * v_size + static_cast<size_t>(key) * wide_;
                    for (int c = 0; c < wide_; c += 32) {
                        const bool pair = c + 16 < wide_;
                        float* place_ = sums + c;
                        _tile_loadd(0, place_, wide_ * 4);
                        _tile_loadd(2, place_ + 16 * wide_, wide_ * 4);
                        if (pair) {
                            _tile_loadd(1, place_ + 16, wide_ * 4);
                            _tile_loadd(3, place_ + 16 * wide_ + 16, wide_ * 4);
                        }
                        const bf16* b = values + c / 16 * TILE;
                        for (int n = 0; n < here; n += 32, b += wide_ / 16 * TILE) {
                            _tile_loadd(4, chances + n, KEYS * 2);
                            _tile_loadd(5, chances + 16 * KEYS + n, KEYS * 2);
                            _tile_loadd(6, b, 64);
                            _tile_dpbf16ps(0, 4, 6);
                            _tile_dpbf16ps(2, 5, 6);
                            if (pair) {
                                _tile_loadd(7, b + TILE, 64);
                                _tile_dpbf16ps(1, 4, 7);
                                _tile_dpbf16ps(3, 5, 7);
                            }
                        }
                        _tile_stored(0, place_, wide_ * 4);
                        _tile_stored(2, place_ + 16 * wide_, wide_ * 4);
                        if (pair) {
                            _tile_stored(1, place_ + 16, wide_ * 4);
                            _tile_stored(3, place_ + 16 * wide_ + 16, wide_ * 4);
                        }
                    }
                }
                for (int r = 0; r < rows; ++r) {
                    const __m512 by = _mm512_set1_ps(1.0f / _mm512_reduce_add_ps(_mm512_load_ps(total + r * 16)));
                    bf16* line = os + static_cast<size_t>(row + r) * heads * width;
                    for (int c = 0; c < width; c += 16) {
                        const __m512 x = _mm512_mul_ps(_mm512_load_ps(sums + r * wide_ + c), by);
                        const __mmask16 mask = width - c >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << (width - c)) - 1);
                        _mm256_mask_storeu_epi16(line + c, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
                    }
                }
            }
        }
    }
}

// What norms of maps in strips share with those of whole ones, so that both give the same bits.
constexpr int FEW = 32;  // pixels whose sums are of float32; sums of all are of float64

// Sums of 16 channels of a few pixels, and of their squares.
static inline void sum_few(const bf16* x, int step, int pixels, float* sum, float* squares) {
    __m512 one = _mm512_setzero_ps(), two = one;
    for (int p = 0; p < pixels; ++p, x += step) {
        _mm_prefetch(reinterpret_cast<const char*>(x + 32 * step), _MM_HINT_T0);  // of the next few
        const __m512 value = load16(x);
        one = _mm512_add_ps(one, value);
        two = _mm512_fmadd_ps(value, value, two);
    }
    _mm512_storeu_ps(sum, one);
    _mm512_storeu_ps(squares, two);
}

// x·scale + shift of 16 channels, then SiLU where `silu`.
static inline void norm16(const bf16* x, const float* scale, const float* shift, bf16* out, int silu) {
    const __m512 made = _mm512_fmadd_ps(load16(x), _mm512_loadu_ps(scale), _mm512_loadu_ps(shift));
    store16(out, silu ? silu_(made) : made);
}

// Row number `row` of a map of rows with `border` zeros on either side: write them, and give where the pixels go; of a
// row that is border itself write all, and give null.
static inline bf16* begin_row(bf16* out, int row, bool inside, int width, int channels, int border) {
    const size_t side = static_cast<size_t>(border) * channels, middle = static_cast<size_t>(width) * channels;
    bf16* place = out + static_cast<size_t>(row) * (middle + 2 * side);
    std::memset(place, 0, (inside ? side : middle + 2 * side) * 2);
    if (!inside) return nullptr;
    std::memset(place + side + middle, 0, side * 2);
    return place + side;
}

// Pixels of a part of a map that one thread sums: whole fews, wherever the map is cut.
static inline int of_part(int64_t pixels, int threads) { return pixels / 256 >= threads ? 256 : FEW; }

// GroupNorm, then SiLU where `silu`, of one feature map or of two that stand side by side (b may be null), into `out`
// with a border of `border` zeros. images of height·width rows; channels are multiples of 16.
void easel_group_norm(const bf16* a, const bf16* b, int a_channels, int b_channels, const bf16* weight,
                      const bf16* bias, bf16* out, int images, int height, int width, int groups, int border,
                      float eps, int silu, int threads) {
    const int channels = a_channels + b_channels, pixels = height * width, per = channels / groups;
    const int part_pixels = of_part(pixels, threads), parts = (pixels + part_pixels - 1) / part_pixels;
    std::vector<double> sums(static_cast<size_t>(images) * parts * channels * 2);
    std::vector<float> scales(static_cast<size_t>(images) * channels * 2);

#pragma omp parallel num_threads(threads)
    {
        std::vector<float> line(static_cast<size_t>(channels) * 2);
#pragma omp for schedule(static)
        for (int item = 0; item < images * parts; ++item) {
            const int image = item / parts, part = item % parts;
            const int first = part * part_pixels, last = std::min(pixels, first + part_pixels);
            double* sum = sums.data() + static_cast<size_t>(item) * channels * 2;
            for (int start = first; start < last; start += FEW) {
                for (int c = 0; c < channels; c += 16) {
                    const bf16* x = c < a_channels
                        ? a + (static_cast<size_t>(image) * pixels + start) * a_channels + c
                        : b + (static_cast<size_t>(image) * pixels + start) * b_channels + c - a_channels;
                    const int step = c < a_channels ? a_channels : b_channels;
                    sum_few(x, step, std::min(last - start, FEW), line.data() + c, line.data() + channels + c);
                }
                for (int c = 0; c < 2 * channels; ++c) sum[c] += line[c];
            }
        }
#pragma omp for schedule(static)
        for (int item = 0; item < images * groups; ++item) {
            const int image = item / groups, group = item % groups;
            double one = 0, two = 0;
            for (int part = 0; part < parts; ++part) {
                const double* sum = sums.data() + (static_cast<size_t>(image) * parts + part) * channels * 2;
                for (int c = group * per; c < (group + 1) * per; ++c) one += sum[c], two += sum[channels + c];
            }
            const double count = static_cast<double>(per) * pixels, mean = one / count;
            const double rate = 1.0 / std::sqrt(std::max(0.0, two / count - mean * mean) + eps);
            for (int c = group * per; c < (group + 1) * per; ++c) {
                const float w = weight ? _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(weight[c] << 16))) : 1.0f;
                const float v = bias ? _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(bias[c] << 16))) : 0.0f;
                scales[(static_cast<size_t>(image) * 2) * channels + c] = static_cast<float>(rate) * w;
                scales[(static_cast<size_t>(image) * 2 + 1) * channels + c] = static_cast<float>(v - mean * rate * w);
            }
        }
        const int tall = height + 2 * border;
#pragma omp for schedule(static)
        for (int item = 0; item < images * tall; ++item) {
            const int image = item / tall, y = item % tall - border;
            bf16* place = begin_row(out, item, y >= 0 && y < height, width, channels, border);
            if (!place) continue;
            const float* scale = scales.data() + static_cast<size_t>(image) * 2 * channels;
            for (int x = 0; x < width; ++x, place += channels) {
                const size_t pixel = static_cast<size_t>(image) * pixels + static_cast<size_t>(y) * width + x;
                const bf16 *u = a + pixel * a_channels, *v = b ? b + pixel * b_channels - a_channels : u;
                for (int c = 0; c < channels; c += 16)
                    norm16((c < a_channels ? u : v) + c, scale + c, scale + channels + c, place + c, silu);
            }
        }
    }
}

// Add to sums[0..channels) those of so many pixels of a map, and to sums[channels..2·channels) those of their squares.
// Of all pixels of a map they are as easel_group_norm has them if every call but the last has a multiple of FEW.
void easel_sums(const bf16* x, double* sums, int64_t pixels, int channels, int threads) {
    const int64_t part_pixels = of_part(pixels, threads), parts = (pixels + part_pixels - 1) / part_pixels;
    std::vector<double> found(static_cast<size_t>(parts) * channels * 2);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> line(static_cast<size_t>(channels) * 2);
#pragma omp for schedule(static)
        for (int64_t part = 0; part < parts; ++part) {
            const int64_t last = std::min(pixels, (part + 1) * part_pixels);
            double* sum = found.data() + part * channels * 2;
            for (int64_t start = part * part_pixels; start < last; start += FEW) {
                const int few = static_cast<int>(std::min<int64_t>(last - start, FEW));
                for (int c = 0; c < channels; c += 16)
                    sum_few(x + start * channels + c, channels, few, line.data() + c, line.data() + channels + c);
                for (int c = 0; c < 2 * channels; ++c) sum[c] += line[c];
            }
        }
    }
    for (int64_t part = 0; part < parts; ++part)
        for (int c = 0; c < 2 * channels; ++c) sums[c] += found[part * channels * 2 + c];
}

// x·scale + shift, then SiLU, of `height` rows of a map; scales are factors and then shifts of channels. With a border
// all rows of `out` begin and end with a zero, and it has a row of zeros above and below for which x has none:
// `above` and `below` say that x has.
void easel_normed(const bf16* x, const float* scales, bf16* out, int height, int width, int channels, int border,
                  int above, int below, int threads) {
    const int top = border ? 1 - above : 0, bottom = border ? 1 - below : 0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int row = 0; row < height + top + bottom; ++row) {
        const int y = row - top;
        bf16* place = begin_row(out, row, y >= 0 && y < height, width, channels, border);
        if (!place) continue;
        const bf16* line = x + static_cast<size_t>(y) * width * channels;
        for (size_t pixel = 0; pixel < static_cast<size_t>(width); ++pixel, place += channels, line += channels)
            for (int c = 0; c < channels; c += 16) norm16(line + c, scales + c, scales + channels + c, place + c, 1);
    }
}

// A feature map, enlarged to tall × broad by nearest neighbours, with a border of one zero around it.
void easel_pad(const bf16* x, bf16* out, int images, int channels, int height, int width, int tall, int broad,
               int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int item = 0; item < images * (tall + 2); ++item) {
        const int image = item / (tall + 2), y = item % (tall + 2) - 1;
        bf16* place = begin_row(out, item, y >= 0 && y < tall, broad, channels, 1);
        if (!place) continue;
        const size_t line = static_cast<size_t>(image) * height + static_cast<size_t>(y) * height / tall;
        for (int each = 0; each < broad; ++each)
            std::memcpy(place + static_cast<size_t>(each) * channels,
                        x + (line * width + static_cast<size_t>(each) * width / broad) * channels,
                        static_cast<size_t>(channels) * 2);
    }
}

// LayerNorm of each of `rows` rows of `width` numbers, a multiple of 16.
void easel_layer_norm(const bf16* x, const bf16* weight, const bf16* bias, bf16* out, int64_t rows, int width, float eps,
                      int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; ++row) {
        const bf16* line = x + row * width;
        __m512 sum = _mm512_setzero_ps();
        for (int c = 0; c < width; c += 16) sum = _mm512_add_ps(sum, load16(line + c));
        const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / static_cast<float>(width));
        __m512 squares = _mm512_setzero_ps();
        for (int c = 0; c < width; c += 16) {
            const __m512 d = _mm512_sub_ps(load16(line + c), mean);
            squares = _mm512_fmadd_ps(d, d, squares);
        }
        const __m512 rate = _mm512_set1_ps(1.0f / std::sqrt(_mm512_reduce_add_ps(squares) / static_cast<float>(width) + eps));
        for (int c = 0; c < width; c += 16) {
            const __m512 d = _mm512_mul_ps(_mm512_sub_ps(load16(line + c), mean), rate);
            store16(out + row * width + c, _mm512_fmadd_ps(d, load16(weight + c), load16(bias + c)));
        }
    }
}

}  // extern "C"
