// Per channel and chunk of rows: sum d and sum d * (x - mean), into scratch. d is dy, with `relu` dy where apply.wgsl gave
// (x - mean) / sqrt(variance + epsilon) * gamma + beta > 0 and 0 elsewhere.
//
// x, dy [rows, vectors]; gamma, beta, mean, variance [vectors]; scratch: room for [5, vectors], then [2, chunks, vectors];
// all vec4f. `relu` is 0 or 1.
// Workgroup (k, b): chunk k of the rows, vectors b * blockVectors on. Lane: one vector, every rowLanes-th row of the chunk.
// Preconditions: rowLanes * blockVectors <= 64; no chunk is empty. The one barrier is after the loop over the rows.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, chunkRows: u32, chunks: u32, relu: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(4) var<storage, read> beta: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> scratch: array<vec4f>;

/** Where the sums begin, in rows of scratch: gradient.finalise.wgsl writes before them. */
const TABLE = 5u;

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
    let scale = gamma[v] / sqrt(variance[v] + shape.epsilon);
    let offset = beta[v];
    let relu = vec4<bool>(shape.relu != 0u);
    var sum = vec4f();
    var dot = vec4f();
    // One row an iteration: more of them at once spill, and are 15 % slower on a software adapter.
    for (var i = (start + rowLane) * shape.vectors + v; i < end; i += stride) {
      let centred = x[i] - m;
      let d = select(dy[i], vec4f(), relu & (centred * scale + offset <= vec4f()));
      sum += d;
      dot += d * centred;
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
  scratch[(TABLE + group.x) * shape.vectors + v] = sum;
  scratch[(TABLE + shape.chunks + group.x) * shape.vectors + v] = dot;
}
