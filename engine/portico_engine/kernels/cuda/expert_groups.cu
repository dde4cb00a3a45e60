// Which pairs of a token and one of its experts are computed together: all of an expert's, at most `size` at a time. One block.
//   THREADS  of it
//   EXPERTS  at most THREADS
// chosen[pair] is the pair's expert, its token pair / used; tokens at negative positions are padding, and their pairs come last.
// groups are {expert, first of `pairs`, count, 0}, those that are not needed have count 0; ends[expert] is where its pairs end.

extern "C" __global__ void __launch_bounds__(THREADS) expert_groups(
    const long long* __restrict__ chosen, const int* __restrict__ positions, int* __restrict__ pairs, int4* __restrict__ groups,
    int* __restrict__ ends, unsigned long long* __restrict__ tokens, int n_pairs, int used, int size, int n_groups) {
  __shared__ int counts[EXPERTS + 1], next[EXPERTS + 1], scanned[2][THREADS], group_scan[2][THREADS];
  const int thread = threadIdx.x;
  const auto expert_of = [&](int pair) {
    return positions && positions[pair / used] < 0 ? EXPERTS : (int)chosen[pair];  // the last: nobody's
  };
  for (int e = thread; e <= EXPERTS; e += THREADS) counts[e] = 0;
  __syncthreads();
  for (int pair = thread; pair < n_pairs; pair += THREADS) atomicAdd(&counts[expert_of(pair)], 1);
  __syncthreads();
  const int own = thread < EXPERTS ? counts[thread] : 0, own_groups = (own + size - 1) / size;
  scanned[0][thread] = own;
  group_scan[0][thread] = own_groups;
  int from = 0;
  for (int step = 1; step < THREADS; step *= 2, from ^= 1) {
    __syncthreads();
    scanned[from ^ 1][thread] = scanned[from][thread] + (thread >= step ? scanned[from][thread - step] : 0);
    group_scan[from ^ 1][thread] = group_scan[from][thread] + (thread >= step ? group_scan[from][thread - step] : 0);
  }
  __syncthreads();
  const int end = scanned[from][thread], first_group = group_scan[from][thread] - own_groups;
  if (thread < EXPERTS) {
    next[thread] = end - own;
    ends[thread] = end;
    tokens[thread] += own;
    for (int i = 0; i < own_groups; i++)
      groups[first_group + i] = make_int4(thread, end - own + i * size, min(size, own - i * size), 0);
  }
  if (thread == 0) next[EXPERTS] = scanned[from][THREADS - 1];
  for (int i = group_scan[from][THREADS - 1] + thread; i < n_groups; i += THREADS) groups[i] = make_int4(0, 0, 0, 0);
  __syncthreads();
  for (int pair = thread; pair < n_pairs; pair += THREADS) pairs[atomicAdd(&next[expert_of(pair)], 1)] = pair;
}
