// y[n, oy, ox, c] = max(0, max over the 2x2 pixels of (x - mean) * scale + beta), scale = gamma / sqrt(variance + epsilon); the
// statistics are the batch's or the running ones. With `save`, a byte of `indices` says which pixel won: ky * 2 + kx of the
// first maximum in scan order, 4 where the ReLU cut it off. A NaN wins over every number.
//
// x [N, H, W, V], y [N, OH, OW, V] of vec4f, OH = H / 2 and OW = W / 2 rounded down; indices [N, OH, OW, V] of u32, channel i of
// a vector in byte i; gamma, beta, mean, variance [V] of vec4f. Outputs are counted [N, OH, OW].
// Workgroup (k, b): chunk k of the outputs, vectors b * blockVectors on. Lane: one vector, every outputLanes-th of the chunk.
// Preconditions: outputLanes * blockVectors <= 64; chunkOutputs + OW and N * OH below 2^21 (see `quotient`).

struct Shape {
  outputs: u32, vectors: u32, blockVectors: u32, outputLanes: u32, chunkOutputs: u32,
  height: u32, width: u32, outHeight: u32, outWidth: u32, save: u32, epsilon: f32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> indices: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let outputLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  if (outputLane >= shape.outputLanes || v >= shape.vectors) { return; }
  let m = mean[v];
  let scale = gamma[v] / sqrt(variance[v] + shape.epsilon);
  let offset = beta[v];
  let start = group.x * shape.chunkOutputs;
  let end = min(start + shape.chunkOutputs, shape.outputs);
  let firstRow = start / shape.outWidth;
  let skipped = firstRow * shape.outWidth;
  let perWidth = 1.0 / f32(shape.outWidth);
  let perHeight = 1.0 / f32(shape.outHeight);
  let down = shape.width * shape.vectors;
  for (var o = start + outputLane; o < end; o += shape.outputLanes) {
    // Rows and images begin 2 * OW * V and, where H is odd, a row of pixels later.
    let row = firstRow + quotient(o - skipped, perWidth);
    let pixelRow = 2u * row + (shape.height - 2u * shape.outHeight) * quotient(row, perHeight);
    let i = (pixelRow * shape.width + 2u * (o - row * shape.outWidth)) * shape.vectors + v;
    let a = (x[i] - m) * scale + offset;
    let b = (x[i + shape.vectors] - m) * scale + offset;
    let c = (x[i + down] - m) * scale + offset;
    let d = (x[i + down + shape.vectors] - m) * scale + offset;
    let up = (b > a) | isNan(b);
    let top = select(a, b, up);
    let low = (d > c) | isNan(d);
    let bottom = select(c, d, low);
    let lower = (bottom > top) | isNan(bottom);
    let best = select(top, bottom, lower);
    let cut = best <= vec4f();
    let at = o * shape.vectors + v;
    y[at] = select(best, vec4f(), cut);
    if (shape.save != 0u) {
      let winner = select(select(vec4u(0u), vec4u(1u), up), select(vec4u(2u), vec4u(3u), low), lower);
      let bytes = select(winner, vec4u(4u), cut) << vec4u(0u, 8u, 16u, 24u);
      indices[at] = bytes.x | bytes.y | bytes.z | bytes.w;
    }
  }
}

/** value / divisor rounded down, from 1 / divisor: exact for values below 2^21, where the roundings stay under half a part. */
fn quotient(value: u32, reciprocal: f32) -> u32 {
  return u32((f32(value) + 0.5) * reciprocal);
}

/** By the bits: a compiler may take `v != v` for false. */
fn isNan(v: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}
