// y[n, oy, ox, c] = bias[c] + sum over ky, kx of x[n, oy sy + ky - top, ox sx + kx - left, c] weight[c, ky, kx]
// x [N, H, W, C4], bias [C4], y [N, OH, OW, C4] as vec4f along the last dimension; weight [C4, KH, KW] as f32.
// One invocation: 4 channels of 4 neighbouring pixels of an output row, a strip; with stride 1 a pixel of x is loaded once for
// all taps of a kernel row. Neighbours share the pixels. Excess invocations return.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.

struct Shape {
  height: i32, width: i32, channels4: u32, out_height: u32, out_width: u32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32, rows: u32, has_bias: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

fn load(line: i32, ix: i32, c: u32) -> vec4f {
  let ok = ix >= 0 && ix < shape.width;
  return select(vec4f(), x[u32(line + select(0, ix, ok)) * shape.channels4 + c], ok);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let strips = (shape.out_width + 3u) / 4u;
  let c = tile % shape.channels4;
  let row = tile / shape.channels4 / strips;
  let ox = tile / shape.channels4 % strips * 4u;
  if (row >= shape.rows) { return; }
  let image = i32(row / shape.out_height) * shape.height;
  let top = i32(row % shape.out_height) * shape.stride_y - shape.top;
  let left = i32(ox) * shape.stride_x - shape.left;
  let taps = u32(shape.kernel_height * shape.kernel_width);
  let start = select(vec4f(), bias[c], shape.has_bias != 0u);
  var sum0 = start;
  var sum1 = start;
  var sum2 = start;
  var sum3 = start;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    let iy = top + ky;
    if (iy < 0 || iy >= shape.height) { continue; }
    let line = (image + iy) * shape.width;
    var w = 4u * c * taps + u32(ky * shape.kernel_width);
    var v1 = load(line, left, c);
    var v2 = load(line, left + shape.stride_x, c);
    var v3 = load(line, left + 2 * shape.stride_x, c);
    var v0 = v1;
    for (var kx = 0; kx < shape.kernel_width; kx++) {
      if (shape.stride_x == 1 || kx == 0) {
        v0 = v1;
        v1 = v2;
        v2 = v3;
      } else {
        v0 = load(line, left + kx, c);
        v1 = load(line, left + kx + shape.stride_x, c);
        v2 = load(line, left + kx + 2 * shape.stride_x, c);
      }
      v3 = load(line, left + kx + 3 * shape.stride_x, c);
      let filters = vec4f(weight[w], weight[w + taps], weight[w + 2u * taps], weight[w + 3u * taps]);
      sum0 += v0 * filters;
      sum1 += v1 * filters;
      sum2 += v2 * filters;
      sum3 += v3 * filters;
      w += 1u;
    }
  }
  let out = (row * shape.out_width + ox) * shape.channels4 + c;
  y[out] = sum0;
  if (ox + 1u < shape.out_width) { y[out + shape.channels4] = sum1; }
  if (ox + 2u < shape.out_width) { y[out + 2u * shape.channels4] = sum2; }
  if (ox + 3u < shape.out_width) { y[out + 3u * shape.channels4] = sum3; }
}
