// dx = scale * (d - dbeta / rows - (x - mean) * dgamma / (deviation * rows)) (Ioffe, Szegedy 2015, section 3), rows = N * H * W;
// d is dy of the output whose window the pixel won, with `relu` where the ReLU let it through, else 0. The first pixel in scan order
// that holds the winner's x won, which of windows of one pixel is that pixel. Pixels right of and below the last window belong to none.
//
// x, dx [N, H, W, V]; dy, winners [N, OH, OW, V] as forward.wgsl says; scratch begins with the [5, V] that
// ../batchNorm/gradient.finalise.wgsl left; all vec4f. Cells of 2x2 pixels, the last of a row or an image perhaps cut off, are counted
// [N, CH, CW], CH = H / 2 and CW = W / 2 rounded up.
// Workgroup (k, b): chunk k of the cells, vectors b * blockVectors on. Lane: one vector, every cellLanes-th cell of the chunk.
// Preconditions: cellLanes * blockVectors <= 64; chunkCells + CW and N * CH below 2^21 (see `quotient`).

struct Shape {
  cells: u32, vectors: u32, blockVectors: u32, cellLanes: u32, chunkCells: u32,
  height: u32, width: u32, outHeight: u32, outWidth: u32, relu: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> winners: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> scratch: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let cellLane = lane / shape.blockVectors;
  let v = group.y * shape.blockVectors + lane % shape.blockVectors;
  if (cellLane >= shape.cellLanes || v >= shape.vectors) { return; }
  let m = scratch[v];
  let scale = scratch[shape.vectors + v];
  let offset = scratch[2u * shape.vectors + v];
  let meanGradient = scratch[3u * shape.vectors + v];
  let slope = scratch[4u * shape.vectors + v];
  let relu = vec4<bool>(shape.relu != 0u);
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
    var winner = vec4f();
    if (cx < shape.outWidth && cy < shape.outHeight) {
      let at = ((n * shape.outHeight + cy) * shape.outWidth + cx) * shape.vectors + v;
      winner = winners[at];
      d = select(dy[at], vec4f(), relu & ((winner - m) * scale + offset <= vec4f()));
    }
    let i = ((n * shape.height + 2u * cy) * shape.width + 2u * cx) * shape.vectors + v;
    for (var p = 0u; p < 4u; p++) {
      if (2u * cx + p % 2u < shape.width && 2u * cy + p / 2u < shape.height) {
        let j = i + (p / 2u) * down + (p % 2u) * shape.vectors;
        let pixel = x[j];
        let won = pixel == winner;
        dx[j] = scale * (select(vec4f(), d, won) - meanGradient - (pixel - m) * slope);
        d = select(d, vec4f(), won);
      }
    }
  }
}

/** value / divisor rounded down, from 1 / divisor: exact for values below 2^21. */
fn quotient(value: u32, reciprocal: f32) -> u32 {
  return u32((f32(value) + 0.5) * reciprocal);
}
