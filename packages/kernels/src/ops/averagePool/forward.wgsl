// y[n, oy, ox, c] = 1 / count * sum over ky, kx of x[n, oy * strideY - top + ky, ox * strideX - left + kx, c] within the
// image; count = kernelY * kernelX when the padding counts, else the pixels within the image.
//
// x [N, H, W, V], y [N, OH, OW, V] of vec4f.
// One invocation: one vector of channels of up to 4 outputs side by side. Invocations are ordered [N, OH, OW / 4, V].
// Preconditions: each padding is smaller than the kernel, so no window is empty. Workgroups may exceed the work.

struct Shape {
  batch: u32, height: u32, width: u32, vectors: u32,
  outHeight: u32, outWidth: u32, kernelY: u32, kernelX: u32,
  strideY: u32, strideX: u32, top: u32, left: u32,
  countIncludePad: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

const STRIP = 4u;

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

  let originY = i32(oy * shape.strideY) - i32(shape.top);
  let beginY = u32(max(originY, 0));
  let endY = u32(min(originY + i32(shape.kernelY), i32(shape.height)));
  for (var ox = firstX; ox < min(firstX + STRIP, shape.outWidth); ox++) {
    let originX = i32(ox * shape.strideX) - i32(shape.left);
    let beginX = u32(max(originX, 0));
    let endX = u32(min(originX + i32(shape.kernelX), i32(shape.width)));
    var sum = vec4f();
    for (var iy = beginY; iy < endY; iy++) {
      for (var ix = beginX; ix < endX; ix++) {
        sum += x[((n * shape.height + iy) * shape.width + ix) * shape.vectors + v];
      }
    }
    let inside = (endY - beginY) * (endX - beginX);
    let count = select(inside, shape.kernelY * shape.kernelX, shape.countIncludePad != 0u);
    y[(row * shape.outWidth + ox) * shape.vectors + v] = sum / f32(count);
  }
}
