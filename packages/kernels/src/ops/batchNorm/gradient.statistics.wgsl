// Per channel and chunk of rows: sum dy and sum dy * xhat, xhat = (x - mean) * inverseDeviation, into scratch.
//
// x, dy [rows, vectors]; mean, inverseDeviation [vectors]; scratch [2, chunks, vectors] (sum dy, then sum dy * xhat).
// Workgroup (k, b): chunk k of the rows, vectors b * blockVectors on. Lane: one vector, every rowLanes-th row of the chunk.
// Preconditions: rowLanes * blockVectors <= 64; no chunk is empty. The one barrier is after the loop over the rows.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, chunkRows: u32, chunks: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> inverseDeviation: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> scratch: array<vec4f>;

var<workgroup> laneSum: array<vec4f, 64>;
var<workgroup> laneDot: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rowLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  let start = group.x * shape.chunkRows;
  let rows = min(shape.chunkRows, shape.rows - start);
  let lanes = min(shape.rowLanes, rows);
  if (rowLane < lanes && v < shape.vectors) {
    let stride = shape.rowLanes * shape.vectors;
    let end = (start + rows) * shape.vectors;
    let m = mean[v];
    var sum = vec4f();
    var dot = vec4f();
    var i = (start + rowLane) * shape.vectors + v;
    for (; i + 3u * stride < end; i += 4u * stride) {
      let d0 = dy[i];
      let d1 = dy[i + stride];
      let d2 = dy[i + 2u * stride];
      let d3 = dy[i + 3u * stride];
      sum += (d0 + d1) + (d2 + d3);
      dot += (d0 * (x[i] - m) + d1 * (x[i + stride] - m)) + (d2 * (x[i + 2u * stride] - m) + d3 * (x[i + 3u * stride] - m));
    }
    for (; i < end; i += stride) {
      let d = dy[i];
      sum += d;
      dot += d * (x[i] - m);
    }
    laneSum[lane] = sum;
    laneDot[lane] = dot;
  }
  workgroupBarrier();
  if (rowLane > 0u || v >= shape.vectors) { return; }
  var sum = vec4f();
  var dot = vec4f();
  for (var r = 0u; r < lanes; r++) {
    sum += laneSum[r * shape.blockVectors + lane];
    dot += laneDot[r * shape.blockVectors + lane];
  }
  scratch[group.x * shape.vectors + v] = sum;
  scratch[(shape.chunks + group.x) * shape.vectors + v] = dot * inverseDeviation[v];
}
