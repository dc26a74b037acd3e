// dx[n, iy, ix, c] = sum over ky, kx of dy[n, (iy + top - ky) / sy, (ix + left - kx) / sx, c] weight[c, ky, kx]
// where the divisions leave no rest and the results lie inside the output.
// dy [N, OH, OW, C4], dx [N, H, W, C4] as vec4f along the last dimension; weight [C4, KH, KW] as f32.
// Pixels are taken by class, iy mod sy and ix mod sx, one class a workgroup_id.z: those of a class share their taps. A class
// is a grid of grid_height x grid_width per image, and grid row j of class r is image row j sy + r, if it exists.
// One invocation: 4 channels of 4 neighbouring pixels of a grid row; a pixel of dy is loaded once for all taps of a kernel
// row. Neighbours share the pixels. Excess invocations return.

struct Shape {
  height: u32, width: u32, channels4: u32, out_height: i32, out_width: i32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  grid_height: u32, grid_width: u32, rows: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

fn load(line: i32, ox: i32, c: u32) -> vec4f {
  let ok = ox >= 0 && ox < shape.out_width;
  return select(vec4f(), dy[u32(line + select(0, ox, ok)) * shape.channels4 + c], ok);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let strips = (shape.grid_width + 3u) / 4u;
  let c = tile % shape.channels4;
  let row = tile / shape.channels4 / strips;
  let gx = tile / shape.channels4 % strips * 4u;
  let class_x = i32(group.z) % shape.stride_x;
  let class_y = i32(group.z) / shape.stride_x;
  let iy = row % shape.grid_height * u32(shape.stride_y) + u32(class_y);
  if (row >= shape.rows || iy >= shape.height) { return; }
  let image = row / shape.grid_height;
  let taps = u32(shape.kernel_height * shape.kernel_width);
  let from_y = class_y + shape.top;
  let from_x = class_x + shape.left;
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  for (var ky = from_y % shape.stride_y; ky < shape.kernel_height; ky += shape.stride_y) {
    let oy = i32(row % shape.grid_height) + (from_y - ky) / shape.stride_y;
    if (oy < 0 || oy >= shape.out_height) { continue; }
    let line = (i32(image) * shape.out_height + oy) * shape.out_width;
    // The output column of the first pixel at this tap; one less at the next.
    var ox = i32(gx) + from_x / shape.stride_x;
    var v0 = load(line, ox + 1, c);
    var v1 = load(line, ox + 2, c);
    var v2 = load(line, ox + 3, c);
    for (var kx = from_x % shape.stride_x; kx < shape.kernel_width; kx += shape.stride_x) {
      let v3 = v2;
      v2 = v1;
      v1 = v0;
      v0 = load(line, ox, c);
      ox -= 1;
      let w = 4u * c * taps + u32(ky * shape.kernel_width + kx);
      let filters = vec4f(weight[w], weight[w + taps], weight[w + 2u * taps], weight[w + 3u * taps]);
      sum0 += v0 * filters;
      sum1 += v1 * filters;
      sum2 += v2 * filters;
      sum3 += v3 * filters;
    }
  }
  let ix = gx * u32(shape.stride_x) + u32(class_x);
  let stride = u32(shape.stride_x);
  let out = ((image * shape.height + iy) * shape.width + ix) * shape.channels4 + c;
  if (ix < shape.width) { dx[out] = sum0; }
  if (ix + stride < shape.width) { dx[out + stride * shape.channels4] = sum1; }
  if (ix + 2u * stride < shape.width) { dx[out + 2u * stride * shape.channels4] = sum2; }
  if (ix + 3u * stride < shape.width) { dx[out + 3u * stride * shape.channels4] = sum3; }
}
