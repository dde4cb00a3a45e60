// Attention of a ragged batch over paged KV, a whole layer in one call: new keys and values are stored, then each token attends to
// its own position and all before it, or to the last `window` of them.
//
// A row's tokens are taken in tiles, so that keys and values are read once for many of them. Rows that begin with the same blocks
// have tiles in common, over those (Juravsky et al. 2024, Hydragen). Each chunk of CHUNK positions gives a partial softmax (Milakov &
// Gimelshein 2018); partials are merged in the order of positions, by the thread that computed them or, where tiles are fewer than
// threads, after all of them (Dao et al. 2023, Flash-Decoding). Chunks begin at multiples of CHUNK: what a token gets depends on its
// own positions alone, to the bit, and not on its batch, its tile or the number of threads.
#include "attention_kernels.h"
#include "attention_tiles.h"

using namespace portico;

namespace {

constexpr int STEAL = 4;       // items of work that there should be for each thread

struct Layer {
    const uint16_t* queries;
    const uint16_t* keys_values;
    uint16_t* kv;
    const float* sinks;
    uint16_t* out;
    int64_t query_stride, keys_values_stride, slots;
    int heads, kv_heads, dim, window;
};

struct Place {  // of a chunk of work
    const Tile* tile;
    int head, chunk;
};

// Where a chunk's keys and values are.
struct Blocks {
    const uint16_t *keys[CHUNK_BLOCKS], *values[CHUNK_BLOCKS];

    int find(const Layer& layer, const Place& place) {
        const Tile& tile = *place.tile;
        const int base = place.chunk * CHUNK, first = std::max(base, tile.begin) / BLOCK;
        const int n = (std::min(base + CHUNK, tile.end) - 1) / BLOCK - first + 1;
        for (int b = 0; b < n; b++) {
            const int64_t slot = int64_t(tile.table[first + b]) * BLOCK;
            keys[b] = layer.kv + (place.head * layer.slots + slot) * layer.dim;
            values[b] = keys[b] + layer.kv_heads * layer.slots * layer.dim;
        }
        return n;
    }
};

// Maxima (in units of log 2), sums and weighted values of some query rows.
struct Partial {
    float *most, *total, *values;
    Partial(float* at, int rows) : most(at), total(at + rows), values(at + 2 * rows) {}
    Partial from(int row, int dim) const {
        Partial rest = *this;
        rest.most += row, rest.total += row, rest.values += int64_t(row) * dim;
        return rest;
    }
    static int64_t size(int rows, int dim) { return int64_t(rows) * (dim + 2); }
};

template <class T> T* scratch(std::vector<T>& kept, int64_t size) {
    if (int64_t(kept.size()) < size) kept.resize(size);
    return kept.data();
}

template <class Path> class Worker {
   public:
    Worker(const Layer& layer, int rows) : layer(layer), group(layer.heads / layer.kv_heads) {
        scores = scratch(kept_scores, int64_t(rows) * CHUNK);
        shares = scratch(kept_shares, int64_t(rows) * CHUNK);
        tail = scratch(kept_tail, int64_t(BLOCK) * layer.dim);
        queries = scratch(kept_queries, rows);
        wide_queries = scratch(kept_wide_queries, int64_t(rows) * layer.dim);
    }

    // One chunk of what a tile sees, for one key/value head. `next` is fetched meanwhile: processors don't, from page to page.
    void chunk(const Tile& tile, int head, int number, const Place* next, Partial out) {
        const int dim = layer.dim, rows = group * tile.n, base = number * CHUNK;
        const int low = std::max(base, tile.begin), high = std::min(base + CHUNK, tile.end);
        Blocks own, ahead;
        const int blocks = own.find(layer, {&tile, head, number}), shift = low / BLOCK * BLOCK;
        const int found = next ? ahead.find(layer, *next) : 0;
        for (int b = found; b < blocks; b++) ahead.keys[b] = own.keys[b], ahead.values[b] = own.values[b];
        if (high % BLOCK) {  // what was never written may be no number, and zero times that is none either
            const uint16_t*& last = own.values[blocks - 1];
            std::memcpy(tail, last, size_t(high % BLOCK) * dim * sizeof *tail);
            std::fill(tail + (high % BLOCK) * dim, tail + BLOCK * dim, uint16_t(0));
            last = tail;
        }
        for (int r = 0; r < rows; r++) {
            const uint16_t* query = layer.queries + tile.tokens[r / group].index * layer.query_stride + (head * group + r % group) * dim;
            queries[r] = Path::query(query, dim, wide_queries + int64_t(r) * dim);
        }
        typename Path::Scores{queries, own.keys, ahead.keys, dim, blocks, scores}.of_rows(rows);
        for (int r = 0; r < rows; r++) {
            const int position = tile.tokens[r / group].position;
            const int from = layer.window ? std::max(low, position + 1 - layer.window) : low;
            softmax(r, blocks, from - shift, std::min(high, position + 1) - shift, out);
        }
        typename Path::Values{own.values, ahead.values, blocks, dim, shares, out.values}.of_rows(rows);
    }

    // Rows from `first` on of `from` into as many from 0 on.
    void merge(int rows, Partial into, Partial from, int first = 0) const {
        for (int r = 0; r < rows; r++) {
            const int other = first + r;
            if (from.most[other] == -INFINITY && from.total[other] == 0) continue;
            const float most = std::max(into.most[r], from.most[other]);
            const float mine = share(into.most[r], most), theirs = share(from.most[other], most);
            into.most[r] = most;
            into.total[r] = into.total[r] * mine + from.total[other] * theirs;
            float *a = into.values + int64_t(r) * layer.dim, *b = from.values + int64_t(other) * layer.dim;
            for (int d = 0; d < layer.dim; d += LANES) store(a + d, multiply_add(load<Floats>(b + d), theirs, load<Floats>(a + d) * mine));
        }
    }

    void clear(int rows, Partial out) const {
        std::fill(out.most, out.most + rows, -INFINITY);
        std::fill(out.total, out.total + rows, 0.f);
        std::fill(out.values, out.values + int64_t(rows) * layer.dim, 0.f);
    }

    void write(const Tile& tile, int head, Partial from) const {
        for (int r = 0; r < group * tile.n; r++) {
            const int own = head * group + r % group;
            float total = from.total[r], scale = 1;
            if (layer.sinks) {  // a score beside the others that has no value
                const float sink = layer.sinks[own] * LOG2_E, most = std::max(from.most[r], sink);
                scale = std::exp2(from.most[r] - most);
                total = total * scale + std::exp2(sink - most);
            }
            const int64_t at = (int64_t(tile.tokens[r / group].index) * layer.heads + own) * layer.dim;
            Path::write(from.values + int64_t(r) * layer.dim, layer.dim, scale / total, layer.out + at);
        }
    }

   private:
    static float share(float part, float most) { return part == most ? 1 : std::exp2(part - most); }

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
    float* scores;
    typename Path::Share* shares;
    uint16_t* tail;
    const typename Path::Query** queries;
    typename Path::Query* wide_queries;
    static thread_local std::vector<float> kept_scores;
    static thread_local std::vector<typename Path::Share> kept_shares;
    static thread_local std::vector<uint16_t> kept_tail;
    static thread_local std::vector<const typename Path::Query*> kept_queries;
    static thread_local std::vector<typename Path::Query> kept_wide_queries;
};

template <class Path> thread_local std::vector<float> Worker<Path>::kept_scores;
template <class Path> thread_local std::vector<typename Path::Share> Worker<Path>::kept_shares;
template <class Path> thread_local std::vector<uint16_t> Worker<Path>::kept_tail;
template <class Path> thread_local std::vector<const typename Path::Query*> Worker<Path>::kept_queries;
template <class Path> thread_local std::vector<typename Path::Query> Worker<Path>::kept_wide_queries;

void store_new(const Layer& layer, const Row& row, const int32_t* tables) {
    const int dim = layer.dim;
    for (int i = 0; i < row.tokens; i++) {
        const int position = row.start + i, place = position % BLOCK;
        const int64_t block = int64_t(tables[row.table + position / BLOCK]) * BLOCK;
        const uint16_t* from = layer.keys_values + (row.first + i) * layer.keys_values_stride;
        for (int head = 0; head < layer.kv_heads; head++, from += dim) {
            uint16_t* to = layer.kv + (head * layer.slots + block) * dim + 2 * place;
            for (int d = 0; d < dim; d += 2) std::memcpy(to + d * BLOCK, from + d, 2 * sizeof *to);
        }
        for (int head = layer.kv_heads; head < 2 * layer.kv_heads; head++, from += dim)
            std::memcpy(layer.kv + (head * layer.slots + block + place) * dim, from, dim * sizeof *from);
    }
}

template <class Path> void attend(const Layer& layer, const Row* rows, int n_rows, const int32_t* tables) {
#pragma omp parallel for schedule(static) if (n_rows > 1)
    for (int i = 0; i < n_rows; i++) store_new(layer, rows[i], tables);
    const int group = layer.heads / layer.kv_heads, kv_heads = layer.kv_heads;
    const Tiles tiles(rows, n_rows, tables, group, layer.window);
    const int widest = tiles.widest() * group;
    const int64_t size = Partial::size(widest, layer.dim), pairs = int64_t(tiles.own()) * kv_heads;
    const bool whole = pairs >= STEAL * most_threads() || most_threads() == 1;  // a tile's own chunks by one thread
    const int64_t apart = tiles.chunks_before(whole ? tiles.shared() : tiles.all()) * kv_heads;
    const int64_t grain = std::max<int64_t>(1, apart / (STEAL * most_threads()));  // neighbours, since each fetches the next
    static thread_local std::vector<float> kept_partials;
    float* partials = scratch(kept_partials, apart * size);
    const auto partial = [&](int tile, int head, int chunk) {
        return Partial(partials + (tiles.chunks_before(tile) * kv_heads + int64_t(head) * tiles[tile].chunks() + chunk) * size, widest);
    };
#pragma omp parallel if (tiles.chunks_before(tiles.all()) * kv_heads > 2)
    {
        Worker<Path> worker(layer, widest);
        static thread_local std::vector<float> kept;
        float* at = scratch(kept, 2 * size);
        const Partial sums(at, widest), one(at + size, widest);
        if (apart) {
            const auto place = [&](int64_t i, int& t) {
                t = tiles.of_chunk(i / kv_heads);
                const int64_t within = i - tiles.chunks_before(t) * kv_heads;
                return Place{&tiles[t], int(within / tiles[t].chunks()), int(within % tiles[t].chunks())};
            };
#pragma omp for schedule(dynamic, grain)
            for (int64_t i = 0; i < apart; i++) {  // by tile, then by head, then by chunk
                int t, other;
                const Place own = place(i, t);
                const Tile& tile = tiles[t];
                Place next = place(std::min(i + 1, apart - 1), other);
                next.chunk = next.tile->chunk(next.chunk);
                worker.chunk(tile, own.head, tile.chunk(own.chunk), &next, partial(t, own.head, own.chunk));
            }
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = pairs - 1; i >= 0; i--) {  // a prompt's last tiles see most
            const int t = tiles.shared() + int(i / kv_heads), head = int(i % kv_heads);
            const Tile& tile = tiles[t];
            worker.clear(tile.n * group, sums);
            tiles.in_common(tile, [&](int other, int first, int mine, int n) {
                for (int c = 0; c < tiles[other].chunks(); c++)
                    worker.merge(n * group, sums.from(mine * group, layer.dim), partial(other, head, c), first * group);
            });
            for (int c = 0; c < tile.chunks(); c++) {
                const Place next{&tile, head, tile.chunk(c + 1)};
                if (whole) worker.chunk(tile, head, tile.chunk(c), c + 1 < tile.chunks() ? &next : nullptr, one);
                worker.merge(tile.n * group, sums, whole ? one : partial(t, head, c));
            }
            worker.write(tile, head, sums);
        }
    }
}

}  // namespace

// queries bf16 [n, heads, dim], keys_values bf16 [n, 2 kv_heads, dim], both with `stride` elements between tokens; kv bf16
// [2 kv_heads, slots, dim], where a block of keys lies as attention_kernels.h says; sinks float32 [heads] or null; rows int32
// [n_rows, 4]; tables int32; out bf16 [n, heads * dim].
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
