// A warp's tile on its way to shared memory, 16 bytes a lane at a time: what waits there takes no registers, and a loop over tiles
// needs not be unrolled. Whoever reads has waited for the copies, and the warp for each other.

#define LOW_BYTES 1024  // of a tile
#define HIGH_BYTES (256 * HIGH)
#define SCALES_BYTES (64 * SCALE_WORDS)
#define TILE_BYTES (LOW_BYTES + HIGH_BYTES + SCALES_BYTES)

template <int WORDS>
struct HeldTile {  // of a lane; WORDS words of scales a row
  u32 low[2][4], high[2][HIGH_WORDS], scales[2][WORDS];
};

template <int N>
__device__ __forceinline__ void load_shared(u32 (&to)[N], u32 from) {
  if constexpr (N % 4 == 0)
#pragma unroll
    for (int i = 0; i < N; i += 4)
      asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(to[i]), "=r"(to[i + 1]), "=r"(to[i + 2]), "=r"(to[i + 3])
                   : "r"(from + i * 4));
  else if constexpr (N == 2)
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "r"(from));
  else
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(to[0]) : "r"(from));
}

struct TileStage {
  u32 at;  // in shared memory

  template <int BYTES>
  __device__ __forceinline__ void copy(u32 to, const u32* from, int tile, int lane) const {
    const char* source = (const char*)from + (long)(tile * (BYTES / 16) + lane) * 16;
#pragma unroll
    for (int done = 0; done < BYTES; done += 512)
      if (done + 512 <= BYTES || lane * 16 < BYTES - done)
        asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(at + to + lane * 16 + done), "l"(source + done)
                     : "memory");
  }

  __device__ __forceinline__ void ask(const Matrix& matrix, int tile, int lane) const {
    copy<LOW_BYTES>(0, matrix.low, tile, lane);
    if (HIGH) copy<HIGH ? HIGH_BYTES : 16>(LOW_BYTES, matrix.high, tile, lane);
    copy<SCALES_BYTES>(LOW_BYTES + HIGH_BYTES, matrix.scales, tile, lane);
  }

  template <int WORDS>
  __device__ __forceinline__ void read(HeldTile<WORDS>& to, int lane, int first_word = 0) const {
    const u32 high = at + LOW_BYTES, scales = high + HIGH_BYTES;
#pragma unroll
    for (int side = 0; side < 2; side++) {
      load_shared(to.low[side], at + (side * 32 + lane) * 16);
      if (HIGH) load_shared(to.high[side], high + (side * 32 + lane) * HIGH * 4);
      load_shared(to.scales[side], scales + ((side * 8 + lane / 4) * SCALE_WORDS + first_word) * 4);
    }
  }
};

__device__ __forceinline__ void copies_end() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int N>
__device__ __forceinline__ void copies_wait() {  // until all but the last N groups of copies are there
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
