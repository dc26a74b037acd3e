// dx[n, iy, ix, c] = sum of dy[n, oy, ox, c] over the windows (oy, ox) that cover the pixel and whose maximum it is:
// indices[n, oy, ox, c] = ky * kernelX + kx with ky = iy + top - oy * strideY and kx likewise.
//
// dy [N, OH, OW, V], dx [N, H, W, V] of vec4f; indices [N, OH, OW, V] of vec4u.
// One invocation: one vector of channels of up to 4 pixels side by side. Invocations are ordered [N, H, W / 4, V].
// The windows of a pixel are visited from the last one back, in a fixed order. Workgroups may exceed the work.

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

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let id = (group.y * groups.x + group.x) * 64u + lane;
  let strips = (shape.width + STRIP - 1u) / STRIP;
  let cell = id / shape.vectors;
  let v = id - cell * shape.vectors;
  let row = cell / strips;
  let firstX = (cell - row * strips) * STRIP;
  if (row >= shape.batch * shape.height) { return; }
  let n = row / shape.height;
  let paddedY = row - n * shape.height + shape.top;

  let lastY = paddedY / shape.strideY;
  let firstKy = paddedY - lastY * shape.strideY;
  // The last window in x that can cover the pixel and the pixel's place in it; both step along the strip.
  var lastX = (firstX + shape.left) / shape.strideX;
  var firstKx = firstX + shape.left - lastX * shape.strideX;
  for (var ix = firstX; ix < min(firstX + STRIP, shape.width); ix++) {
    var sum = vec4f();
    // Going back past window 0 wraps to a number above outHeight or outWidth.
    var oy = lastY;
    for (var ky = firstKy; ky < shape.kernelY; ky += shape.strideY) {
      var ox = lastX;
      for (var kx = firstKx; kx < shape.kernelX; kx += shape.strideX) {
        if (oy < shape.outHeight && ox < shape.outWidth) {
          let o = ((n * shape.outHeight + oy) * shape.outWidth + ox) * shape.vectors + v;
          sum += select(vec4f(), dy[o], indices[o] == vec4u(ky * shape.kernelX + kx));
        }
        ox -= 1u;
      }
      oy -= 1u;
    }
    dx[(row * shape.width + ix) * shape.vectors + v] = sum;
    firstKx += 1u;
    if (firstKx == shape.strideX) {
      firstKx = 0u;
      lastX += 1u;
    }
  }
}
