// Combines the chunks' (mean_k, M2_k): mean, variance = M2 / rows, and running = (1 - momentum) * running + momentum * batch,
// the variance there unbiased: M2 / max(rows - 1, 1).
//
// scratch [2, chunks, vectors] as statistics.wgsl left it; the other tensors [vectors] of vec4f.
// Workgroup: 64 / chunkLanes vectors of channels. Lane: every chunkLanes-th chunk of one. Sums over lanes in a fixed tree.
// Precondition: chunkLanes is a power of two, at most 64.

struct Shape { rows: u32, vectors: u32, chunkRows: u32, chunks: u32, chunkLanes: u32, momentum: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> runningMean: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> runningVariance: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> variance: array<vec4f>;

var<workgroup> terms: array<vec4f, 64>;

/** The sum of `term` over the lanes of a vector, for every lane. */
fn total(lane: u32, term: vec4f) -> vec4f {
  let vectorLanes = 64u / shape.chunkLanes;
  workgroupBarrier();
  terms[lane] = term;
  for (var half = shape.chunkLanes / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half * vectorLanes) { terms[lane] += terms[lane + half * vectorLanes]; }
  }
  workgroupBarrier();
  return terms[lane % vectorLanes];
}

fn rowsOf(chunk: u32) -> f32 {
  return f32(min(shape.chunkRows, shape.rows - chunk * shape.chunkRows));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let vectorLanes = 64u / shape.chunkLanes;
  let chunkLane = lane / vectorLanes;
  let owned = group.x * vectorLanes + lane % vectorLanes;
  let v = min(owned, shape.vectors - 1u); // every lane meets the barriers
  let base = scratch[v];
  var sum = vec4f();
  for (var chunk = chunkLane; chunk < shape.chunks; chunk += shape.chunkLanes) {
    sum += rowsOf(chunk) * (scratch[chunk * shape.vectors + v] - base);
  }
  let batchMean = base + total(lane, sum) / f32(shape.rows);
  var m2 = vec4f();
  for (var chunk = chunkLane; chunk < shape.chunks; chunk += shape.chunkLanes) {
    let d = scratch[chunk * shape.vectors + v] - batchMean;
    m2 += scratch[(shape.chunks + chunk) * shape.vectors + v] + rowsOf(chunk) * d * d;
  }
  m2 = total(lane, m2);
  if (chunkLane > 0u || owned >= shape.vectors) { return; }
  mean[v] = batchMean;
  variance[v] = m2 / f32(shape.rows);
  let unbiased = m2 / f32(max(shape.rows, 2u) - 1u);
  runningMean[v] = (1.0 - shape.momentum) * runningMean[v] + shape.momentum * batchMean;
  runningVariance[v] = (1.0 - shape.momentum) * runningVariance[v] + shape.momentum * unbiased;
}
