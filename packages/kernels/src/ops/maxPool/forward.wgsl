// y[n, oy, ox, c] = max over ky, kx of x[n, oy * strideY - top + ky, ox * strideX - left + kx, c] within the image;
// indices = ky * kernelX + kx of the first maximum in scan order. A NaN wins over every number, as in PyTorch. With `relu` 1 a maximum
// that is not positive becomes 0 and its index NO_PIXEL, which the gradient finds in no window.
//
// x [N, H, W, V], y [N, OH, OW, V] of vec4f; indices [N, OH, OW, V] of vec4u.
// One invocation: one vector of channels of up to 4 outputs side by side. Invocations are ordered [N, OH, OW / 4, V].
// Preconditions: each padding is smaller than the kernel, so no window is empty. Workgroups may exceed the work.

struct Shape {
  batch: u32, height: u32, width: u32, vectors: u32,
  outHeight: u32, outWidth: u32, kernelY: u32, kernelX: u32,
  strideY: u32, strideX: u32, top: u32, left: u32,
  lowest: f32, // -inf, which no literal can be
  relu: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> indices: array<vec4u>;

const STRIP = 4u;
const NO_PIXEL = 0xfffffffeu;

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
  let beginKy = u32(max(-originY, 0));
  let endKy = u32(min(i32(shape.kernelY), i32(shape.height) - originY));
  for (var ox = firstX; ox < min(firstX + STRIP, shape.outWidth); ox++) {
    let originX = i32(ox * shape.strideX) - i32(shape.left);
    let beginKx = u32(max(-originX, 0));
    let endKx = u32(min(i32(shape.kernelX), i32(shape.width) - originX));
    var best = vec4f(shape.lowest);
    var index = vec4u(beginKy * shape.kernelX + beginKx);
    for (var ky = beginKy; ky < endKy; ky++) {
      for (var kx = beginKx; kx < endKx; kx++) {
        let value = x[pixel(n, originY, ky, originX, kx) * shape.vectors + v];
        let better = (value > best) | isNan(value);
        best = select(best, value, better);
        index = select(index, vec4u(ky * shape.kernelX + kx), better);
      }
    }
    let o = (row * shape.outWidth + ox) * shape.vectors + v;
    let cut = vec4<bool>(shape.relu != 0u) & (best <= vec4f());
    y[o] = select(best, vec4f(), cut);
    indices[o] = select(index, vec4u(NO_PIXEL), cut);
  }
}

fn pixel(n: u32, originY: i32, ky: u32, originX: i32, kx: u32) -> u32 {
  return (n * shape.height + u32(originY + i32(ky))) * shape.width + u32(originX + i32(kx));
}

/** By the bits: a compiler may take `v != v` for false. */
fn isNan(v: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}
