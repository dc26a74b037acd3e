// y[n, oy, ox, c] = f(max over the window's pixels of (x - mean) * scale + beta), scale = gamma / sqrt(variance + epsilon); f is
// the ReLU or the identity, a window 2x2 pixels or the first of them (`pixels` 4 or 1); the statistics are the batch's or the
// running ones. With `save`, `winners` gets the x of the pixel that won, the first maximum in scan order: all that the gradient
// needs of it. A NaN wins over every number.
//
// x [N, H, W, V]; y and winners [N, OH, OW, V], OH = H / 2 and OW = W / 2 rounded down, of single pixels up;
// gamma, beta, mean, variance [V]; all vec4f. Outputs are counted [N, OH, OW].
// Workgroup (k, b): chunk k of the outputs, vectors b * blockVectors on. Lane: one vector, every outputLanes-th of the chunk.
// Preconditions: outputLanes * blockVectors <= 64; chunkOutputs + OW and N * OH below 2^21 (see `quotient`).

struct Shape {
  outputs: u32, vectors: u32, blockVectors: u32, outputLanes: u32, chunkOutputs: u32,
  height: u32, width: u32, outHeight: u32, outWidth: u32, pixels: u32, relu: u32, save: u32, epsilon: f32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> winners: array<vec4f>;

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
  let relu = vec4<bool>(shape.relu != 0u);
  for (var o = start + outputLane; o < end; o += shape.outputLanes) {
    // Rows and images begin 2 * OW * V and, where H is odd, a row of pixels later; earlier (the product wraps) of single pixels.
    let row = firstRow + quotient(o - skipped, perWidth);
    let pixelRow = 2u * row + (shape.height - 2u * shape.outHeight) * quotient(row, perHeight);
    let i = (pixelRow * shape.width + 2u * (o - row * shape.outWidth)) * shape.vectors + v;
    var winner = x[i];
    var best = (winner - m) * scale + offset;
    // A loop of known length is unrolled.
    if (shape.pixels == 4u) {
      for (var p = 1u; p < 4u; p++) {
        let pixel = x[i + (p / 2u) * down + (p % 2u) * shape.vectors];
        let value = (pixel - m) * scale + offset;
        let better = (value > best) | isNan(value);
        best = select(best, value, better);
        winner = select(winner, pixel, better);
      }
    }
    let at = o * shape.vectors + v;
    y[at] = select(best, vec4f(), relu & (best <= vec4f()));
    if (shape.save != 0u) { winners[at] = winner; }
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
