// All of batch-norm's gradient in one launch, for small maps, where a launch takes longer than its work: dbeta = sum d,
// dgamma = sum d * (x - mean) / deviation, dx as gradient.wgsl; d is dy, with `relu` dy where the forward pass gave more than 0.
//
// x, dy, dx [rows, vectors]; the other tensors [vectors]; all vec4f. `relu` is 0 or 1.
// Workgroup b: all rows of vectors b * blockVectors on. Lane: one vector, every rowLanes-th row.
// Precondition: rowLanes * blockVectors <= 64. Barriers are outside of all branches.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, relu: u32, epsilon: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(4) var<storage, read> beta: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> dgamma: array<vec4f>;
@group(0) @binding(9) var<storage, read_write> dbeta: array<vec4f>;

/** Of a lane's rows, then in the first lanes, one a vector, of all rows: sum d, and sum d * (x - mean). */
var<workgroup> sums: array<vec4f, 64>;
var<workgroup> dots: array<vec4f, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rowLane = lane / shape.blockVectors;
  let own = group.x * shape.blockVectors + lane % shape.blockVectors;
  let v = min(own, shape.vectors - 1u); // every lane meets the barriers
  let lanes = min(shape.rowLanes, shape.rows);
  let works = rowLane < lanes && own < shape.vectors;
  let stride = shape.rowLanes * shape.vectors;
  let start = rowLane * shape.vectors + v;
  let end = shape.rows * shape.vectors;
  let m = mean[v];
  let deviation = sqrt(variance[v] + shape.epsilon);
  let scale = gamma[v] / deviation;
  let offset = beta[v];
  let relu = vec4<bool>(shape.relu != 0u);
  if (works) {
    var sum = vec4f();
    var dot = vec4f();
    for (var i = start; i < end; i += stride) {
      let centred = x[i] - m;
      let d = select(dy[i], vec4f(), relu & (centred * scale + offset <= vec4f()));
      sum += d;
      dot += d * centred;
    }
    sums[lane] = sum;
    dots[lane] = dot;
  }
  workgroupBarrier();
  if (rowLane == 0u && works) {
    var sum = vec4f();
    var dot = vec4f();
    for (var r = 0u; r < lanes; r++) {
      sum += sums[r * shape.blockVectors + lane];
      dot += dots[r * shape.blockVectors + lane];
    }
    dbeta[v] = sum;
    dgamma[v] = dot / deviation;
    sums[lane] = sum;
    dots[lane] = dot;
  }
  workgroupBarrier();
  if (!works) { return; }
  let meanGradient = sums[lane % shape.blockVectors] / f32(shape.rows);
  let slope = dots[lane % shape.blockVectors] / deviation / deviation / f32(shape.rows);
  for (var i = start; i < end; i += stride) {
    let centred = x[i] - m;
    let d = select(dy[i], vec4f(), relu & (centred * scale + offset <= vec4f()));
    dx[i] = scale * (d - meanGradient - centred * slope);
  }
}
