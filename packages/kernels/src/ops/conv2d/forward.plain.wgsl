// y[n, oy, ox, f] = bias[f] + sum over ky, kx, c of x[n, oy sy + ky - top, ox sx + kx - left, c] weight[f, ky, kx, c]
// x [N, H, W, C4], weight [F4, KH, KW, C4], bias [F4], y [N, OH, OW, F4], all as vec4f along the last dimension.
// One invocation: 4 consecutive pixels x 4 filters; neighbours share the pixels. Excess invocations return.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: u32, out_width: u32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32, pixels: u32, has_bias: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;

// The window's top left corner in x (may lie outside) and the image's first row.
fn corner(pixel: u32) -> vec3i {
  let image = shape.out_height * shape.out_width;
  let rest = pixel % image;
  return vec3i(i32(pixel / image) * shape.height,
    i32(rest / shape.out_width) * shape.stride_y - shape.top, i32(rest % shape.out_width) * shape.stride_x - shape.left);
}

// The vec4f index of one tap's first channels, or -1 on padding.
fn tap_address(at: vec3i, ky: i32, kx: i32) -> i32 {
  let iy = at.y + ky;
  let ix = at.z + kx;
  let inside = iy >= 0 && iy < shape.height && ix >= 0 && ix < shape.width;
  return select(-1, ((at.x + iy) * shape.width + ix) * i32(shape.channels4), inside);
}

fn load(address: i32, c: u32) -> vec4f {
  return select(vec4f(), x[u32(max(address, 0)) + c], address >= 0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let f = tile % shape.filters4;
  let pixel = tile / shape.filters4 * 4u;
  if (pixel >= shape.pixels) { return; }
  let at0 = corner(pixel);
  let at1 = corner(min(pixel + 1u, shape.pixels - 1u));
  let at2 = corner(min(pixel + 2u, shape.pixels - 1u));
  let at3 = corner(min(pixel + 3u, shape.pixels - 1u));
  let start = select(vec4f(), bias[f], shape.has_bias != 0u);
  var sum0 = start;
  var sum1 = start;
  var sum2 = start;
  var sum3 = start;
  let row = u32(shape.kernel_height * shape.kernel_width) * shape.channels4;
  var w = f * 4u * row;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    for (var kx = 0; kx < shape.kernel_width; kx++) {
      let tap0 = tap_address(at0, ky, kx);
      let tap1 = tap_address(at1, ky, kx);
      let tap2 = tap_address(at2, ky, kx);
      let tap3 = tap_address(at3, ky, kx);
      for (var c = 0u; c < shape.channels4; c++) {
        let filters = mat4x4f(weight[w + c], weight[w + c + row], weight[w + c + 2u * row], weight[w + c + 3u * row]);
        sum0 += load(tap0, c) * filters;
        sum1 += load(tap1, c) * filters;
        sum2 += load(tap2, c) * filters;
        sum3 += load(tap3, c) * filters;
      }
      w += shape.channels4;
    }
  }
  let out = pixel * shape.filters4 + f;
  y[out] = sum0;
  if (pixel + 1u < shape.pixels) { y[out + shape.filters4] = sum1; }
  if (pixel + 2u < shape.pixels) { y[out + 2u * shape.filters4] = sum2; }
  if (pixel + 3u < shape.pixels) { y[out + 3u * shape.filters4] = sum3; }
}
