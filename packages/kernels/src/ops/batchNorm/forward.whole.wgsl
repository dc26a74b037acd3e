// All of batch-norm's forward pass in one launch, for small maps, where a launch takes longer than its work: mean and variance of
// the batch as statistics.wgsl and finalise.wgsl compute them, the running ones moved, y as apply.wgsl.
//
// x, y [rows, vectors]; the other tensors [vectors]; all vec4f. `relu` is 0 or 1.
// Workgroup b: all rows of vectors b * blockVectors on. Lane: one vector, every rowLanes-th row.
// Precondition: rowLanes * blockVectors <= 64. Barriers are outside of all branches.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, relu: u32, epsilon: f32, momentum: f32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(3) var<storage, read> beta: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> runningMean: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> runningVariance: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> mean: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> variance: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> y: array<vec4f>;

/** Of a lane's rows, then in the first lanes, one a vector, the mean and the variance of all rows. */
var<workgroup> laneMean: array<vec4f, 64>;
var<workgroup> laneM2: array<vec4f, 64>;

/** Rows that lane `rowLane` reads. */
fn rowsOf(rowLane: u32) -> f32 {
  return f32((max(shape.rows, rowLane) - rowLane + shape.rowLanes - 1u) / shape.rowLanes);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rowLane = lane / shape.blockVectors;
  let v = group.x * shape.blockVectors + lane % shape.blockVectors;
  let lanes = min(shape.rowLanes, shape.rows);
  let works = rowLane < lanes && v < shape.vectors;
  let stride = shape.rowLanes * shape.vectors;
  let start = rowLane * shape.vectors + v;
  let end = shape.rows * shape.vectors;
  if (works) {
    // Over d = x - (the lane's first row), as in statistics.wgsl.
    let shift = x[start];
    var sum = vec4f();
    var squares = vec4f();
    for (var i = start; i < end; i += stride) {
      let d = x[i] - shift;
      sum += d;
      squares += d * d;
    }
    let own = sum / rowsOf(rowLane);
    laneMean[lane] = shift + own;
    laneM2[lane] = max(squares - sum * own, vec4f());
  }
  workgroupBarrier();
  if (rowLane == 0u && works) {
    let base = laneMean[lane];
    var sum = vec4f();
    for (var r = 1u; r < lanes; r++) { sum += rowsOf(r) * (laneMean[r * shape.blockVectors + lane] - base); }
    let batchMean = base + sum / f32(shape.rows);
    var m2 = vec4f();
    for (var r = 0u; r < lanes; r++) {
      let d = laneMean[r * shape.blockVectors + lane] - batchMean;
      m2 += laneM2[r * shape.blockVectors + lane] + rowsOf(r) * d * d;
    }
    let unbiased = m2 / f32(max(shape.rows, 2u) - 1u);
    runningMean[v] = (1.0 - shape.momentum) * runningMean[v] + shape.momentum * batchMean;
    runningVariance[v] = (1.0 - shape.momentum) * runningVariance[v] + shape.momentum * unbiased;
    mean[v] = batchMean;
    variance[v] = m2 / f32(shape.rows);
    laneMean[lane] = batchMean;
    laneM2[lane] = m2 / f32(shape.rows);
  }
  workgroupBarrier();
  if (!works) { return; }
  let m = laneMean[lane % shape.blockVectors];
  let scale = gamma[v] / sqrt(laneM2[lane % shape.blockVectors] + shape.epsilon);
  let offset = beta[v];
  let relu = vec4<bool>(shape.relu != 0u);
  for (var i = start; i < end; i += stride) {
    let value = (x[i] - m) * scale + offset;
    y[i] = select(value, vec4f(), relu & (value <= vec4f()));
  }
}
