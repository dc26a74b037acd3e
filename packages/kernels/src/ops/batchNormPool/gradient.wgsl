// dx = scale * (d - dbeta / rows - (x - mean) * dgamma / (deviation * rows)) (Ioffe, Szegedy 2015, section 3), rows = N * H * W;
// d is dy of the output whose 2x2 pixels the pixel won, else 0. Pixels right of and below the last window belong to none.
//
// x, dx [N, H, W, V] of vec4f; dy, indices as forward.wgsl says; scratch begins with the [5, V] of vec4f that
// ../batchNorm/gradient.finalise.wgsl left. Cells of 2x2 pixels, the last of a row or an image perhaps cut off, are counted
// [N, CH, CW], CH = H / 2 and CW = W / 2 rounded up.
// Workgroup (k, b): chunk k of the cells, vectors b * blockVectors on. Lane: one vector, every cellLanes-th cell of the chunk.
// Preconditions: cellLanes * blockVectors <= 64; chunkCells + CW and N * CH below 2^21 (see `quotient`).

struct Shape {
  cells: u32, vectors: u32, blockVectors: u32, cellLanes: u32, chunkCells: u32,
  height: u32, width: u32, outHeight: u32, outWidth: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> indices: array<u32>;
@group(0) @binding(4) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let cellLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  if (cellLane >= shape.cellLanes || v >= shape.vectors) { return; }
  let m = scratch[v];
  let scale = scratch[shape.vectors + v];
  let meanGradient = scratch[3u * shape.vectors + v];
  let slope = scratch[4u * shape.vectors + v];
  let cellHeight = (shape.height + 1u) / 2u;
  let cellWidth = (shape.width + 1u) / 2u;
  let start = group.x * shape.chunkCells;
  let end = min(start + shape.chunkCells, shape.cells);
  let firstRow = start / cellWidth;
  let skipped = firstRow * cellWidth;
  let perWidth = 1.0 / f32(cellWidth);
  let perHeight = 1.0 / f32(cellHeight);
  let down = shape.width * shape.vectors;
  for (var cell = start + cellLane; cell < end; cell += shape.cellLanes) {
    let row = firstRow + quotient(cell - skipped, perWidth);
    let cx = cell - row * cellWidth;
    let n = quotient(row, perHeight);
    let cy = row - n * cellHeight;
    var d = vec4f();
    var winner = vec4u(4u);
    if (cx < shape.outWidth && cy < shape.outHeight) {
      let at = ((n * shape.outHeight + cy) * shape.outWidth + cx) * shape.vectors + v;
      d = dy[at];
      winner = (vec4u(indices[at]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(7u);
    }
    let i = ((n * shape.height + 2u * cy) * shape.width + 2u * cx) * shape.vectors + v;
    let right = 2u * cx + 1u < shape.width;
    let below = 2u * cy + 1u < shape.height;
    dx[i] = scale * (select(vec4f(), d, winner == vec4u(0u)) - meanGradient - (x[i] - m) * slope);
    if (right) {
      let j = i + shape.vectors;
      dx[j] = scale * (select(vec4f(), d, winner == vec4u(1u)) - meanGradient - (x[j] - m) * slope);
    }
    if (below) {
      let j = i + down;
      dx[j] = scale * (select(vec4f(), d, winner == vec4u(2u)) - meanGradient - (x[j] - m) * slope);
    }
    if (right && below) {
      let j = i + down + shape.vectors;
      dx[j] = scale * (select(vec4f(), d, winner == vec4u(3u)) - meanGradient - (x[j] - m) * slope);
    }
  }
}

/** value / divisor rounded down, from 1 / divisor: exact for values below 2^21. */
fn quotient(value: u32, reciprocal: f32) -> u32 {
  return u32((f32(value) + 0.5) * reciprocal);
}
