// dx[n, iy, ix, c] = sum of dy[n, oy, ox, c] / count over the windows (oy, ox) that cover the pixel; count as in
// forward.wgsl: kernelY * kernelX when the padding counts, else the window's pixels within the image.
//
// dy [N, OH, OW, V], dx [N, H, W, V] of vec4f.
// One invocation: one vector of channels of up to 4 pixels side by side. Invocations are ordered [N, H, W / 4, V].
// The windows of a pixel are visited from the last one back, in a fixed order. Workgroups may exceed the work.

struct Shape {
  batch: u32, height: u32, width: u32, vectors: u32,
  outHeight: u32, outWidth: u32, kernelY: u32, kernelX: u32,
  strideY: u32, strideX: u32, top: u32, left: u32,
  countIncludePad: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4f>;

const STRIP = 4u;

/** Pixels of window `o` along one side of length `size`. */
fn extent(o: u32, stride: u32, padding: u32, kernel: u32, size: u32) -> u32 {
  let begin = o * stride;
  let inside = min(begin + kernel, size + padding) - max(begin, padding);
  return select(inside, kernel, shape.countIncludePad != 0u);
}

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
      let rows = extent(oy, shape.strideY, shape.top, shape.kernelY, shape.height);
      var ox = lastX;
      for (var kx = firstKx; kx < shape.kernelX; kx += shape.strideX) {
        if (oy < shape.outHeight && ox < shape.outWidth) {
          let count = rows * extent(ox, shape.strideX, shape.left, shape.kernelX, shape.width);
          sum += dy[((n * shape.outHeight + oy) * shape.outWidth + ox) * shape.vectors + v] * (1.0 / f32(count));
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
