// Which tokens of a step attend together: pieces of rows, and what rows whose tables begin with the same blocks have in common.
//
// It knows blocks and positions, and neither keys nor values.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>
#include "attention_kernels.h"
#include "functions.h"

namespace portico {

constexpr int TILE_ROWS = 48;  // query rows of a tile: a group's heads times tokens

struct Token {
    int index, position;  // in the batch, in its sequence
};

struct Tile {
    const Token* tokens;
    int n;
    const int32_t* table;  // blocks of all of them, as far as they are read
    int begin, end;        // positions that any of them sees, of those that are this tile's
    int row, at;           // of an own tile: whose, and its first token in the row

    int chunk(int i) const { return begin / CHUNK + i; }
    int chunks() const { return (end - 1) / CHUNK - begin / CHUNK + 1; }
};

// Tiles over blocks that several rows begin with come first, then each row's own, over the rest.
class Tiles {
   public:
    Tiles(const Row* rows, int n_rows, const int32_t* tables, int group, int window) : most(std::max(1, TILE_ROWS / group)) {
        int n = 0;
        for (int i = 0; i < n_rows; i++) n += rows[i].tokens;
        tokens.reserve(2 * size_t(n));  // tiles point into it
        places.resize(n_rows);
        if (!window && n_rows > 1) share(rows, n_rows, tables);
        n_shared = int(tiles.size());
        for (int i = 0; i < n_rows; i++)
            for (int at = 0; at < rows[i].tokens; at += most) {
                const int count = std::min(most, rows[i].tokens - at), position = rows[i].start + at;
                const int begin = window ? std::max(0, position + 1 - window) : places[i].chunks * CHUNK;
                tiles.push_back({add(rows[i], at, count), count, tables + rows[i].table, begin, position + count, i, at});
            }
        before.push_back(0);
        for (const Tile& tile : tiles) before.push_back(before.back() + tile.chunks());
    }

    const Tile& operator[](int i) const { return tiles[i]; }
    int shared() const { return n_shared; }
    int own() const { return int(tiles.size()) - n_shared; }
    int all() const { return int(tiles.size()); }
    int64_t chunks_before(int tile) const { return before[tile]; }
    int of_chunk(int64_t chunk) const { return int(std::upper_bound(before.begin(), before.end(), chunk) - before.begin()) - 1; }

    int widest() const {  // tokens
        int out = 0;
        for (const Tile& tile : tiles) out = std::max(out, tile.n);
        return out;
    }

    // see(tile, first, mine, n): n of an own tile's tokens, from `mine` on, are those of a shared tile from `first` on.
    template <class See> void in_common(const Tile& own, See see) const {
        const Place& place = places[own.row];
        if (!place.chunks) return;
        for (int done = 0; done < own.n;) {
            const int at = place.token + own.at + done, n = std::min(own.n - done, most - at % most);
            see(place.tile + at / most, at % most, done, n);
            done += n;
        }
    }

   private:
    struct Place {  // of a row among those that begin alike
        int tile = 0, token = 0, chunks = 0;  // the first of their tiles, the row's first token among theirs, chunks in common
    };

    const Token* add(const Row& row, int at, int count) {
        const size_t first = tokens.size();
        for (int i = at; i < at + count; i++) tokens.push_back({row.first + i, row.start + i});
        return tokens.data() + first;
    }

    static int chunks_alike(const Row& a, const Row& b, const int32_t* tables) {
        const int whole = std::min(a.start, b.start) / CHUNK;
        int i = 0;
        while (i < whole && !std::memcmp(tables + a.table + i * CHUNK_BLOCKS, tables + b.table + i * CHUNK_BLOCKS, CHUNK_BLOCKS * sizeof *tables)) i++;
        return i;
    }

    // A row joins the first others with whom it has a chunk in common, and at least half of what they have. Long ones fill tiles by
    // themselves, and their partials would fill memory.
    void share(const Row* rows, int n_rows, const int32_t* tables) {
        struct Alike {
            std::vector<int> rows;
            int chunks;
        };
        std::vector<Alike> found;
        for (int i = 0; i < n_rows; i++) {
            if (rows[i].tokens >= 2 * most) continue;
            const auto joins = [&](Alike& those) {
                const int chunks = std::min(those.chunks, chunks_alike(rows[those.rows[0]], rows[i], tables));
                if (!chunks || 2 * chunks < those.chunks) return false;
                those.rows.push_back(i);
                those.chunks = chunks;
                return true;
            };
            if (std::find_if(found.begin(), found.end(), joins) == found.end()) found.push_back({{i}, rows[i].start / CHUNK});
        }
        for (const Alike& those : found) {
            if (those.rows.size() < 2) continue;
            const size_t first = tokens.size();
            for (int i : those.rows) {
                places[i] = {int(tiles.size()), int(tokens.size() - first), those.chunks};
                add(rows[i], 0, rows[i].tokens);
            }
            for (size_t at = first; at < tokens.size(); at += most) {
                const int count = int(std::min<size_t>(most, tokens.size() - at));
                tiles.push_back({tokens.data() + at, count, tables + rows[those.rows[0]].table, 0, those.chunks * CHUNK, 0, 0});
            }
        }
    }

    const int most;  // tokens of a tile
    int n_shared = 0;
    std::vector<Token> tokens;
    std::vector<Tile> tiles;
    std::vector<Place> places;  // of each row
    std::vector<int64_t> before;  // chunks of all tiles before each
};

}  // namespace portico
