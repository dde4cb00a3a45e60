// Attention of a ragged batch over paged KV, a whole layer in one call: new keys and values are stored, then each token attends to
// its own position and all before it, or to the last `window` of them.
//
// A row's tokens are taken in tiles, so that keys and values are read once for many of them. Each chunk of CHUNK positions gives a
// partial softmax (Milakov & Gimelshein 2018); partials are merged in the order of positions, by the thread that computed them or,
// where tiles are fewer than threads, after all of them (Dao et al. 2023, Flash-Decoding). Chunks begin at multiples of CHUNK: what
// a token gets depends on its own positions alone, to the bit, and not on its batch, its tile or the number of threads.
#include <vector>
#include "attention_kernels.h"

using namespace portico;

namespace {

constexpr int TILE_ROWS = 48;  // query rows of a tile: a group's heads times tokens
constexpr int STEAL = 4;       // items of work that there should be for each thread
constexpr int AHEAD = 6;       // blocks of keys that are fetched before they are needed: processors don't, from page to page
constexpr int LINE = 32;       // numbers of a line of the processor's caches

struct Row {  // of the batch, as Python passes it
    int32_t first, tokens, start, table;  // its first token in the batch, how many, the first's position, where its table begins
};

struct Layer {
    const uint16_t* queries;
    const uint16_t* keys_values;
    uint16_t* kv;
    const float* sinks;
    uint16_t* out;
    int64_t query_stride, keys_values_stride, slots;
    int heads, kv_heads, dim, window;
};

struct Tile {
    int first, tokens, position;  // of its first token
    const int32_t* table;
    int begin, end;  // positions that any of its tokens sees

    int chunk(int i) const { return begin / CHUNK + i; }
    int chunks() const { return (end - 1) / CHUNK - begin / CHUNK + 1; }
};

// Maxima (in units of log 2), sums and weighted values of some query rows.
struct Partial {
    float *most, *total, *values;
    Partial(float* at, int rows) : most(at), total(at + rows), values(at + 2 * rows) {}
    static int64_t size(int rows, int dim) { return int64_t(rows) * (dim + 2); }
};

template <class T> T* scratch(std::vector<T>& kept, int64_t size) {
    if (int64_t(kept.size()) < size) kept.resize(size);
    return kept.data();
}

template <class Path> class Worker {
   public:
    Worker(const Layer& layer, int rows) : layer(layer), group(layer.heads / layer.kv_heads) {
        keys = scratch(kept_keys, CHUNK_BLOCKS * Path::block_keys(layer.dim));
        scores = scratch(kept_scores, int64_t(rows) * CHUNK);
        shares = scratch(kept_shares, int64_t(rows) * CHUNK);
        tail = scratch(kept_tail, int64_t(BLOCK) * layer.dim);
        queries = scratch(kept_queries, rows);
        wide_queries = scratch(kept_wide_queries, int64_t(rows) * layer.dim);
    }

    // One chunk of what a tile sees, for one key/value head.
    void chunk(const Tile& tile, int head, int number, Partial out) {
        const int dim = layer.dim, rows = group * tile.tokens, base = number * CHUNK;
        const int low = std::max(base, tile.begin), high = std::min(base + CHUNK, tile.end);
        const int first = low / BLOCK, blocks = (high - 1) / BLOCK - first + 1, shift = first * BLOCK;
        const uint16_t *key_head = layer.kv + head * layer.slots * dim, *value_head = key_head + layer.kv_heads * layer.slots * dim;
        const uint16_t* values[CHUNK_BLOCKS];
        for (int b = 0; b < blocks; b++) {
            const int64_t slot = int64_t(tile.table[first + b]) * BLOCK;
            if (first + b + AHEAD <= (tile.end - 1) / BLOCK)
                fetch(key_head + int64_t(tile.table[first + b + AHEAD]) * BLOCK * dim);
            fetch(value_head + slot * dim);
            Path::transpose(key_head + slot * dim, dim, keys + b * Path::block_keys(dim));
            values[b] = value_head + slot * dim;
        }
        if (high % BLOCK) {  // what was never written may be no number, and zero times that is none either
            std::memcpy(tail, values[blocks - 1], size_t(high % BLOCK) * dim * sizeof *tail);
            std::fill(tail + (high % BLOCK) * dim, tail + BLOCK * dim, uint16_t(0));
            values[blocks - 1] = tail;
        }
        for (int r = 0; r < rows; r++) {
            const uint16_t* query = layer.queries + (tile.first + r / group) * layer.query_stride + (head * group + r % group) * dim;
            queries[r] = Path::query(query, dim, wide_queries + int64_t(r) * dim);
        }
        by_rows(rows, typename Path::Scores{queries, keys, dim, blocks, scores});
        for (int r = 0; r < rows; r++) {
            const int position = tile.position + r / group;
            const int from = layer.window ? std::max(low, position + 1 - layer.window) : low;
            softmax(r, blocks, from - shift, std::min(high, position + 1) - shift, out);
        }
        by_rows(rows, typename Path::Values{values, blocks, dim, shares, out.values});
    }

    void merge(int rows, Partial into, Partial from) const {
        for (int r = 0; r < rows; r++) {
            if (from.most[r] == -INFINITY && from.total[r] == 0) continue;
            const float most = std::max(into.most[r], from.most[r]);
            const float mine = std::exp2(into.most[r] - most), theirs = std::exp2(from.most[r] - most);
            into.most[r] = most;
            into.total[r] = into.total[r] * mine + from.total[r] * theirs;
            float *a = into.values + int64_t(r) * layer.dim, *b = from.values + int64_t(r) * layer.dim;
            for (int d = 0; d < layer.dim; d += LANES) store(a + d, multiply_add(load<Floats>(b + d), theirs, load<Floats>(a + d) * mine));
        }
    }

    void clear(int rows, Partial out) const {
        std::fill(out.most, out.most + rows, -INFINITY);
        std::fill(out.total, out.total + rows, 0.f);
        std::fill(out.values, out.values + int64_t(rows) * layer.dim, 0.f);
    }

    void write(const Tile& tile, int head, Partial from) const {
        for (int r = 0; r < group * tile.tokens; r++) {
            const int own = head * group + r % group;
            float total = from.total[r], scale = 1;
            if (layer.sinks) {  // a score beside the others that has no value
                const float sink = layer.sinks[own] * LOG2_E, most = std::max(from.most[r], sink);
                scale = std::exp2(from.most[r] - most);
                total = total * scale + std::exp2(sink - most);
            }
            const int64_t at = (int64_t(tile.first + r / group) * layer.heads + own) * layer.dim;
            Path::write(from.values + int64_t(r) * layer.dim, layer.dim, scale / total, layer.out + at);
        }
    }

   private:
    void fetch(const uint16_t* block) const {
        for (int i = 0; i < BLOCK * layer.dim; i += LINE) __builtin_prefetch(block + i);
    }

    // Scores [from, to) of the chunk become shares; all others nothing.
    void softmax(int row, int blocks, int from, int to, Partial out) {
        float* own = scores + int64_t(row) * CHUNK;
        typename Path::Share* shared = shares + int64_t(row) * CHUNK;
        if (from >= to) {
            for (int b = 0; b < blocks; b++) Path::write_shares(shared + b * BLOCK, all(0));
            out.most[row] = -INFINITY, out.total[row] = 0;
            return;
        }
        std::fill(own, own + from, -INFINITY);
        std::fill(own + to, own + blocks * BLOCK, -INFINITY);
        const float scale = LOG2_E / std::sqrt(float(layer.dim));
        Floats most = all(-INFINITY), total = {};
        for (int b = 0; b < blocks; b++) most = larger(load<Floats>(own + b * BLOCK), most);
        const float top = std::max(largest(most) * scale, -3e38f);
        for (int b = 0; b < blocks; b++) {
            const Floats share = exp2(load<Floats>(own + b * BLOCK) * scale - top);
            total += share;
            Path::write_shares(shared + b * BLOCK, share);
        }
        out.most[row] = top, out.total[row] = sum(total);
    }

    const Layer& layer;
    const int group;
    typename Path::Key* keys;
    float* scores;
    typename Path::Share* shares;
    uint16_t* tail;
    const typename Path::Query** queries;
    typename Path::Query* wide_queries;
    static thread_local std::vector<typename Path::Key> kept_keys;
    static thread_local std::vector<float> kept_scores;
    static thread_local std::vector<typename Path::Share> kept_shares;
    static thread_local std::vector<uint16_t> kept_tail;
    static thread_local std::vector<const typename Path::Query*> kept_queries;
    static thread_local std::vector<typename Path::Query> kept_wide_queries;
};

template <class Path> thread_local std::vector<typename Path::Key> Worker<Path>::kept_keys;
template <class Path> thread_local std::vector<float> Worker<Path>::kept_scores;
template <class Path> thread_local std::vector<typename Path::Share> Worker<Path>::kept_shares;
template <class Path> thread_local std::vector<uint16_t> Worker<Path>::kept_tail;
template <class Path> thread_local std::vector<const typename Path::Query*> Worker<Path>::kept_queries;
template <class Path> thread_local std::vector<typename Path::Query> Worker<Path>::kept_wide_queries;

void store_new(const Layer& layer, const Row& row, const int32_t* tables) {
    const size_t bytes = layer.dim * sizeof(uint16_t);
    for (int i = 0; i < row.tokens; i++) {
        const int position = row.start + i;
        const int64_t slot = int64_t(tables[row.table + position / BLOCK]) * BLOCK + position % BLOCK;
        const uint16_t* from = layer.keys_values + (row.first + i) * layer.keys_values_stride;
        for (int head = 0; head < 2 * layer.kv_heads; head++)
            std::memcpy(layer.kv + (head * layer.slots + slot) * layer.dim, from + head * layer.dim, bytes);
    }
}

std::vector<Tile> tiles_of(const Layer& layer, const Row* rows, int n_rows, const int32_t* tables) {
    const int most = std::max(1, TILE_ROWS / (layer.heads / layer.kv_heads));
    std::vector<Tile> out;
    for (int i = 0; i < n_rows; i++)
        for (int at = 0; at < rows[i].tokens; at += most) {
            const int tokens = std::min(most, rows[i].tokens - at), position = rows[i].start + at;
            const int begin = layer.window ? std::max(0, position + 1 - layer.window) : 0;
            out.push_back({rows[i].first + at, tokens, position, tables + rows[i].table, begin, position + tokens});
        }
    return out;
}

template <class Path> void attend(const Layer& layer, const Row* rows, int n_rows, const int32_t* tables) {
#pragma omp parallel for schedule(static) if (n_rows > 1)
    for (int i = 0; i < n_rows; i++) store_new(layer, rows[i], tables);
    const std::vector<Tile> tiles = tiles_of(layer, rows, n_rows, tables);
    int widest = 0;
    for (const Tile& tile : tiles) widest = std::max(widest, tile.tokens * layer.heads / layer.kv_heads);
    const int64_t size = Partial::size(widest, layer.dim), pairs = int64_t(tiles.size()) * layer.kv_heads;
    std::vector<int64_t> before{0};  // chunks of all tiles before each
    for (const Tile& tile : tiles) before.push_back(before.back() + tile.chunks());
    const int64_t chunks = before.back() * layer.kv_heads;
    if (pairs >= STEAL * most_threads() || most_threads() == 1) {
#pragma omp parallel if (chunks > 1)
        {
            Worker<Path> worker(layer, widest);
            static thread_local std::vector<float> kept;
            float* at = scratch(kept, 2 * size);
            const Partial sums(at, widest), one(at + size, widest);
#pragma omp for schedule(dynamic)
            for (int64_t i = pairs - 1; i >= 0; i--) {  // a prompt's last tiles see most
                const Tile& tile = tiles[i / layer.kv_heads];
                const int head = int(i % layer.kv_heads), n = tile.tokens * layer.heads / layer.kv_heads;
                worker.clear(n, sums);
                for (int c = 0; c < tile.chunks(); c++) {
                    worker.chunk(tile, head, tile.chunk(c), one);
                    worker.merge(n, sums, one);
                }
                worker.write(tile, head, sums);
            }
        }
        return;
    }
    static thread_local std::vector<float> kept_partials;
    float* partials = scratch(kept_partials, chunks * size);
#pragma omp parallel if (chunks > 2)
    {
        Worker<Path> worker(layer, widest);
        static thread_local std::vector<float> kept;
        const Partial sums(scratch(kept, size), widest);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < chunks; i++) {  // by tile, then by head, then by chunk
            const int64_t t = std::upper_bound(before.begin(), before.end(), i / layer.kv_heads) - before.begin() - 1;
            const int64_t within = i - before[t] * layer.kv_heads;
            const int n = tiles[t].chunks();
            worker.chunk(tiles[t], int(within / n), tiles[t].chunk(int(within % n)), Partial(partials + i * size, widest));
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < pairs; i++) {
            const Tile& tile = tiles[i / layer.kv_heads];
            const int head = int(i % layer.kv_heads), n = tile.tokens * layer.heads / layer.kv_heads;
            worker.clear(n, sums);
            const int64_t first = before[i / layer.kv_heads] * layer.kv_heads + int64_t(head) * tile.chunks();
            for (int c = 0; c < tile.chunks(); c++) worker.merge(n, sums, Partial(partials + (first + c) * size, widest));
            worker.write(tile, head, sums);
        }
    }
}

}  // namespace

// queries bf16 [n, heads, dim], keys_values bf16 [n, 2 kv_heads, dim], both with `stride` elements between tokens; kv bf16
// [2 kv_heads, slots, dim]; sinks float32 [heads] or null; rows int32 [n_rows, 4]; tables int32; out bf16 [n, heads * dim].
extern "C" void portico_attention(
    const uint16_t* queries, int64_t query_stride, const uint16_t* keys_values, int64_t keys_values_stride, uint16_t* kv, int64_t slots,
    const float* sinks, uint16_t* out, const Row* rows, int32_t n_rows, const int32_t* tables, int32_t heads, int32_t kv_heads,
    int32_t dim, int32_t window) {
    const Layer layer{queries, keys_values, kv, sinks, out, query_stride, keys_values_stride, slots, heads, kv_heads, dim, window};
    if (Pairs::takes(dim))
        attend<Pairs>(layer, rows, n_rows, tables);
    else
        attend<Plain>(layer, rows, n_rows, tables);
}
