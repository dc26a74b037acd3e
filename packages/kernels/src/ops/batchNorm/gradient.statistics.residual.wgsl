// Behind a sum and a ReLU: dresidual = y > 0 ? dy + dyOther : 0, and per channel and chunk of rows its sum and its sum times
// (x - mean), into scratch. With `parts` 1 there is no dyOther; anything may be bound in its place.
//
// x, y, dy, dyOther, dresidual [rows, vectors]; mean [vectors]; scratch: room for [5, vectors], then [2, chunks, vectors]; all vec4f.
// Workgroup (k, b): chunk k of the rows, vectors b * blockVectors on. Lane: one vector, every rowLanes-th row of the chunk.
// Preconditions: rowLanes * blockVectors <= 64; no chunk is empty. The one barrier is after the loop over the rows.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, chunkRows: u32, chunks: u32, parts: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dyOther: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dresidual: array<vec4f>;
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
    var sum = vec4f();
    var dot = vec4f();
    for (var i = (start + rowLane) * shape.vectors + v; i < end; i += stride) {
      var d = dy[i];
      if (shape.parts == 2u) { d += dyOther[i]; }
      d = select(d, vec4f(), y[i] <= vec4f());
      dresidual[i] = d;
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
  scratch[(TABLE + group.x) * shape.vectors + v] = sum;
  scratch[(TABLE + shape.chunks + group.x) * shape.vectors + v] = dot;
}
