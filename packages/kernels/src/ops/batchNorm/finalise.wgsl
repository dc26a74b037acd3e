// Combines the chunks' (mean_k, M2_k): mean, variance = M2 / rows, and running = (1 - momentum) * running + momentum * batch,
// the variance there unbiased: M2 / max(rows - 1, 1).
//
// scratch [2, chunks, vectors] as statistics.wgsl left it; the other tensors [vectors] of vec4f.
// Workgroup: one vector of channels. Lane: every 64th chunk. Sums over lanes in a fixed tree.

struct Shape { rows: u32, vectors: u32, chunkRows: u32, chunks: u32, momentum: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> runningMean: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> runningVariance: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> variance: array<vec4f>;

var<workgroup> terms: array<vec4f, 64>;

/** The sum of `term` over the lanes, for every lane. */
fn total(lane: u32, term: vec4f) -> vec4f {
  workgroupBarrier();
  terms[lane] = term;
  for (var half = 32u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { terms[lane] += terms[lane + half]; }
  }
  workgroupBarrier();
  return terms[0];
}

fn rowsOf(chunk: u32) -> f32 {
  return f32(min(shape.chunkRows, shape.rows - chunk * shape.chunkRows));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let v = group.x;
  let base = scratch[v];
  var sum = vec4f();
  for (var chunk = lane; chunk < shape.chunks; chunk += 64u) {
    sum += rowsOf(chunk) * (scratch[chunk * shape.vectors + v] - base);
  }
  let batchMean = base + total(lane, sum) / f32(shape.rows);
  var m2 = vec4f();
  for (var chunk = lane; chunk < shape.chunks; chunk += 64u) {
    let d = scratch[chunk * shape.vectors + v] - batchMean;
    m2 += scratch[(shape.chunks + chunk) * shape.vectors + v] + rowsOf(chunk) * d * d;
  }
  m2 = total(lane, m2);
  if (lane > 0u) { return; }
  mean[v] = batchMean;
  variance[v] = m2 / f32(shape.rows);
  let unbiased = m2 / f32(max(shape.rows, 2u) - 1u);
  runningMean[v] = (1.0 - shape.momentum) * runningMean[v] + shape.momentum * batchMean;
  runningVariance[v] = (1.0 - shape.momentum) * runningVariance[v] + shape.momentum * unbiased;
}
