// dx = scale * (d - dbeta / rows - (x - mean) * dgamma / (deviation * rows)), scale = gamma / deviation (Ioffe, Szegedy 2015,
// section 3). d is dy, with `relu` dy where (x - mean) * scale + beta > 0 and 0 elsewhere.
//
// x, dy, dx [rows, vectors]; scratch begins with the [5, vectors] that gradient.finalise.wgsl left; all vec4f. `relu` is 0 or 1.
// Workgroup (k, b): chunk k of the rows, vectors b * blockVectors on. Lane: one vector, every rowLanes-th row of the chunk.
// Precondition: rowLanes * blockVectors <= 64.

struct Shape { rows: u32, vectors: u32, blockVectors: u32, rowLanes: u32, chunkRows: u32, relu: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let rowLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  if (rowLane >= shape.rowLanes || v >= shape.vectors) { return; }
  let m = scratch[v];
  let scale = scratch[shape.vectors + v];
  let offset = scratch[2u * shape.vectors + v];
  let meanGradient = scratch[3u * shape.vectors + v];
  let slope = scratch[4u * shape.vectors + v];
  let relu = vec4<bool>(shape.relu != 0u);
  let start = group.x * shape.chunkRows;
  let end = min(start + shape.chunkRows, shape.rows) * shape.vectors;
  for (var i = (start + rowLane) * shape.vectors + v; i < end; i += shape.rowLanes * shape.vectors) {
    let centred = x[i] - m;
    let d = select(dy[i], vec4f(), relu & (centred * scale + offset <= vec4f()));
    dx[i] = scale * (d - meanGradient - centred * slope);
  }
}
