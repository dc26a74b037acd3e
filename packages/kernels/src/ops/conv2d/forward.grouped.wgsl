// y[n, oy, ox, f] = bias[f] + sum over ky, kx, c of x[n, oy sy + ky - top, ox sx + kx - left, group(f) CG + c] weight[f, ky, kx, c]
// x [N, H, W, C4], weight [F4, KH, KW, CG] with CG = C / groups, bias [F4], y [N, OH, OW, F4] as vec4f along the last dimension.
// One invocation: one pixel x 4 filters, which may belong to different groups. Excess invocations return.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.

struct Shape {
  height: i32, width: i32, channels: u32, filters: u32, out_height: u32, out_width: u32,
  kernel_height: u32, kernel_width: u32, stride_y: i32, stride_x: i32, top: i32, left: i32, pixels: u32, groups: u32, has_bias: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

fn one_filter(image: i32, top: i32, left: i32, f: u32) -> f32 {
  if (f >= shape.filters) { return 0.0; }
  let group_channels = shape.channels / shape.groups;
  let channels4 = (shape.channels + 3u) / 4u * 4u;
  let first = f / (shape.filters / shape.groups) * group_channels;
  var sum = 0.0;
  if (shape.has_bias != 0u) { sum = bias[f]; }
  var w = f * shape.kernel_height * shape.kernel_width * group_channels;
  for (var ky = 0u; ky < shape.kernel_height; ky++) {
    let iy = top + i32(ky);
    for (var kx = 0u; kx < shape.kernel_width; kx++) {
      let ix = left + i32(kx);
      if (iy >= 0 && iy < shape.height && ix >= 0 && ix < shape.width) {
        let at = u32((image * shape.height + iy) * shape.width + ix) * channels4 + first;
        for (var c = 0u; c < group_channels; c++) { sum += x[at + c] * weight[w + c]; }
      }
      w += group_channels;
    }
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let filters4 = (shape.filters + 3u) / 4u;
  let f = tile % filters4 * 4u;
  let pixel = tile / filters4;
  if (pixel >= shape.pixels) { return; }
  let size = shape.out_height * shape.out_width;
  let rest = pixel % size;
  let image = i32(pixel / size);
  let top = i32(rest / shape.out_width) * shape.stride_y - shape.top;
  let left = i32(rest % shape.out_width) * shape.stride_x - shape.left;
  var values = vec4f();
  for (var i = 0u; i < 4u; i++) { values[i] = one_filter(image, top, left, f + i); }
  y[tile] = values;
}
