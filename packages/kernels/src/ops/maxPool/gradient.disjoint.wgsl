// dx[n, iy, ix, c] = dy[n, oy, ox, c] where indices[n, oy, ox, c] names the pixel, else 0, for windows that do not overlap:
// an output reads its gradient once and writes every pixel of its cell.
// The cell of (oy, ox): strideY x strideX pixels from (oy * strideY, ox * strideX) on; those of the last row and column
// reach to the image's end.
//
// dy [N, OH, OW, V], dx [N, H, W, V] of vec4f; indices [N, OH, OW, V] of vec4u.
// One invocation: one vector of channels of up to 4 outputs side by side. Invocations are ordered [N, OH, OW / 4, V].
// Preconditions: kernel <= stride, no padding at the top and left. Workgroups may exceed the work.

struct Shape {
  batch: u32, height: u32, width: u32, vectors: u32,
  outHeight: u32, outWidth: u32, kernelY: u32, kernelX: u32,
  strideY: u32, strideX: u32, top: u32, left: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> indices: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

const STRIP = 4u;
const OUTSIDE = 0xffffffffu;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * groups.x + group.x) * 64u + lane;
  let strips = (shape.outWidth + STRIP - 1u) / STRIP;
  let cell = id / shape.vectors;
  let v = id - cell * shape.vectors;
  let row = cell / strips;
  let firstX = (cell - row * strips) * STRIP;
  if (row >= shape.batch * shape.outHeight) { return; }
  let n = row / shape.outHeight;
  let oy = row - n * shape.outHeight;

  let beginY = oy * shape.strideY;
  let endY = select(min(beginY + shape.strideY, shape.height), shape.height, oy + 1u == shape.outHeight);
  for (var ox = firstX; ox < min(firstX + STRIP, shape.outWidth); ox++) {
    let o = (row * shape.outWidth + ox) * shape.vectors + v;
    let gradient = dy[o];
    let index = indices[o];
    let beginX = ox * shape.strideX;
    let endX = select(min(beginX + shape.strideX, shape.width), shape.width, ox + 1u == shape.outWidth);
    for (var iy = beginY; iy < endY; iy++) {
      for (var ix = beginX; ix < endX; ix++) {
        // Right of the window a position would alias the next row's.
        let position = select(OUTSIDE, (iy - beginY) * shape.kernelX + ix - beginX, ix - beginX < shape.kernelX);
        dx[((n * shape.height + iy) * shape.width + ix) * shape.vectors + v] = select(vec4f(), gradient, index == vec4u(position));
      }
    }
  }
}
