// Per channel and chunk of outputs: sum dy and sum dy * (x - mean) over the outputs that the ReLU let through, x taken at the
// pixel that won: all other pixels have no gradient behind the pool. Into scratch, for ../batchNorm/gradient.finalise.wgsl.
//
// x [N, H, W, V * 4] of f32; dy [N, OH, OW, V] of vec4f and indices [N, OH, OW, V] of u32 as forward.wgsl says; mean [V] of vec4f;
// scratch: room for [5, V], then [2, chunks, V] of vec4f. Outputs are counted [N, OH, OW].
// Workgroup (k, b): chunk k of the outputs, vectors b * blockVectors on. Lane: one vector, every outputLanes-th of the chunk.
// Preconditions: as forward.wgsl, and no chunk is empty. The one barrier is after the loop over the outputs.

struct Shape {
  outputs: u32, vectors: u32, blockVectors: u32, outputLanes: u32, chunkOutputs: u32,
  height: u32, width: u32, outHeight: u32, outWidth: u32, chunks: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> indices: array<u32>;
@group(0) @binding(4) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> scratch: array<vec4f>;

/** Where the sums begin, in rows of scratch. */
const TABLE = 5u;

var<workgroup> laneSum: array<vec4f, 64>;
var<workgroup> laneDot: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let outputLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  let start = group.x * shape.chunkOutputs;
  let end = min(start + shape.chunkOutputs, shape.outputs);
  let lanes = min(shape.outputLanes, end - start);
  if (outputLane < lanes && v < shape.vectors) {
    let m = mean[v];
    let firstRow = start / shape.outWidth;
    let skipped = firstRow * shape.outWidth;
    let perWidth = 1.0 / f32(shape.outWidth);
    let perHeight = 1.0 / f32(shape.outHeight);
    var sum = vec4f();
    var dot = vec4f();
    for (var o = start + outputLane; o < end; o += shape.outputLanes) {
      let row = firstRow + quotient(o - skipped, perWidth);
      let pixelRow = 2u * row + (shape.height - 2u * shape.outHeight) * quotient(row, perHeight);
      let corner = (pixelRow * shape.width + 2u * (o - row * shape.outWidth)) * shape.vectors + v;
      let at = o * shape.vectors + v;
      let winner = (vec4u(indices[at]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(7u);
      let cut = winner == vec4u(4u);
      let i = 4u * (corner + ((winner >> vec4u(1u)) & vec4u(1u)) * (shape.width * shape.vectors) + (winner & vec4u(1u)) * shape.vectors);
      let d = select(dy[at], vec4f(), cut);
      sum += d;
      dot += d * (vec4f(x[i.x], x[i.y + 1u], x[i.z + 2u], x[i.w + 3u]) - m);
    }
    laneSum[lane] = sum;
    laneDot[lane] = dot;
  }
  workgroupBarrier();
  if (outputLane > 0u || v >= shape.vectors) { return; }
  var sum = vec4f();
  var dot = vec4f();
  for (var r = 0u; r < lanes; r++) {
    sum += laneSum[r * shape.blockVectors + lane];
    dot += laneDot[r * shape.blockVectors + lane];
  }
  scratch[(TABLE + group.x) * shape.vectors + v] = sum;
  scratch[(TABLE + shape.chunks + group.x) * shape.vectors + v] = dot;
}

/** value / divisor rounded down, from 1 / divisor: exact for values below 2^21. */
fn quotient(value: u32, reciprocal: f32) -> u32 {
  return u32((f32(value) + 0.5) * reciprocal);
}
