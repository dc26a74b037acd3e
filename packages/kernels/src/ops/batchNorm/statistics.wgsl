// Per channel and chunk of rows: mean_k = sum x / n_k and M2_k = sum (x - mean_k)^2, into scratch.
// Sums run over d = x - (the lane's first row): M2 = sum d^2 - (sum d)^2 / n loses nothing when the mean dwarfs the
// deviation. Lanes are combined by M2 = sum (M2_i + n_i (mean_i - mean)^2) (Chan, Golub, LeVeque 1983), in fixed order.
//
// x [rows, vectors] and scratch [2, chunks, vectors] (means, then M2) are vec4f.
// Workgroup (k, b): chunk k of the rows, vectors b * blockVectors on. Lane: one vector, every rowLanes-th row of the chunk.
// Preconditions: rowLanes * blockVectors <= 64; no chunk is empty. The one barrier is after the loop over the rows.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, chunkRows: u32, chunks: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4f>;

var<workgroup> laneMean: array<vec4f, 64>;
var<workgroup> laneM2: array<vec4f, 64>;

/** Rows that lane `rowLane` of a chunk of `rows` rows reads. */
fn rowsOf(rowLane: u32, rows: u32) -> u32 {
  return (max(rows, rowLane) - rowLane + shape.rowLanes - 1u) / shape.rowLanes;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rowLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  let start = group.x * shape.chunkRows;
  let rows = min(shape.chunkRows, shape.rows - start);
  if (rowLane < min(shape.rowLanes, rows) && v < shape.vectors) {
    let stride = shape.rowLanes * shape.vectors;
    let end = (start + rows) * shape.vectors;
    var i = (start + rowLane) * shape.vectors + v;
    let shift = x[i];
    var sum = vec4f();
    var squares = vec4f();
    for (; i + 3u * stride < end; i += 4u * stride) {
      let d0 = x[i] - shift;
      let d1 = x[i + stride] - shift;
      let d2 = x[i + 2u * stride] - shift;
      let d3 = x[i + 3u * stride] - shift;
      sum += (d0 + d1) + (d2 + d3);
      squares += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
    }
    for (; i < end; i += stride) {
      let d = x[i] - shift;
      sum += d;
      squares += d * d;
    }
    let mean = sum / f32(rowsOf(rowLane, rows));
    laneMean[lane] = shift + mean;
    laneM2[lane] = max(squares - sum * mean, vec4f());
  }
  workgroupBarrier();
  if (rowLane > 0u || v >= shape.vectors) { return; }
  let lanes = min(shape.rowLanes, rows);
  let base = laneMean[lane];
  var sum = vec4f();
  for (var r = 1u; r < lanes; r++) {
    sum += f32(rowsOf(r, rows)) * (laneMean[r * shape.blockVectors + lane] - base);
  }
  let mean = base + sum / f32(rows);
  var m2 = vec4f();
  for (var r = 0u; r < lanes; r++) {
    let d = laneMean[r * shape.blockVectors + lane] - mean;
    m2 += laneM2[r * shape.blockVectors + lane] + f32(rowsOf(r, rows)) * d * d;
  }
  scratch[group.x * shape.vectors + v] = mean;
  scratch[(shape.chunks + group.x) * shape.vectors + v] = m2;
}
