// dx[n, iy, ix, c] = sum over ky, kx, f of dy[n, (iy + top - ky) / sy, (ix + left - kx) / sx, f] weight[f, ky, kx, c]
// where the divisions leave no rest and the results lie inside the output.
// dy [N, OH, OW, F4], weight [F4, KH, KW, C4], dx [N, H, W, C4], all as vec4f along the last dimension.
// One invocation: 4 consecutive pixels of dx x 4 channels; neighbours share the pixels. Excess invocations return.

struct Shape {
  height: u32, width: u32, channels4: u32, filters4: u32, out_height: i32, out_width: i32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32, pixels: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

// The image's first row in dy; row and column in dx, moved by the padding.
fn position(pixel: u32) -> vec3i {
  let image = shape.height * shape.width;
  let rest = pixel % image;
  return vec3i(i32(pixel / image) * shape.out_height, i32(rest / shape.width) + shape.top, i32(rest % shape.width) + shape.left);
}

// The vec4f index of the output pixel that a tap connects with this pixel, or -1 where there is none.
fn tap_address(at: vec3i, ky: i32, kx: i32) -> i32 {
  let row = at.y - ky;
  let column = at.z - kx;
  let oy = row / shape.stride_y;
  let ox = column / shape.stride_x;
  let inside = row >= 0 && column >= 0 && oy < shape.out_height && ox < shape.out_width
    && oy * shape.stride_y == row && ox * shape.stride_x == column;
  return select(-1, ((at.x + oy) * shape.out_width + ox) * i32(shape.filters4), inside);
}

fn load(address: i32, f: u32) -> vec4f {
  return select(vec4f(), dy[u32(max(address, 0)) + f], address >= 0);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let tile = (group.y * groups.x + group.x) * 64u + lane;
  let c = tile % shape.channels4;
  let pixel = tile / shape.channels4 * 4u;
  if (pixel >= shape.pixels) { return; }
  let at0 = position(pixel);
  let at1 = position(min(pixel + 1u, shape.pixels - 1u));
  let at2 = position(min(pixel + 2u, shape.pixels - 1u));
  let at3 = position(min(pixel + 3u, shape.pixels - 1u));
  var sum0 = vec4f();
  var sum1 = vec4f();
  var sum2 = vec4f();
  var sum3 = vec4f();
  let row = u32(shape.kernel_height * shape.kernel_width) * shape.channels4;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    for (var kx = 0; kx < shape.kernel_width; kx++) {
      let tap0 = tap_address(at0, ky, kx);
      let tap1 = tap_address(at1, ky, kx);
      let tap2 = tap_address(at2, ky, kx);
      let tap3 = tap_address(at3, ky, kx);
      if (max(max(tap0, tap1), max(tap2, tap3)) < 0) { continue; }
      var w = u32(ky * shape.kernel_width + kx) * shape.channels4 + c;
      for (var f = 0u; f < shape.filters4; f++) {
        let filters = mat4x4f(weight[w], weight[w + row], weight[w + 2u * row], weight[w + 3u * row]);
        sum0 += filters * load(tap0, f);
        sum1 += filters * load(tap1, f);
        sum2 += filters * load(tap2, f);
        sum3 += filters * load(tap3, f);
        w += 4u * row;
      }
    }
  }
  let out = pixel * shape.channels4 + c;
  dx[out] = sum0;
  if (pixel + 1u < shape.pixels) { dx[out + shape.channels4] = sum1; }
  if (pixel + 2u < shape.pixels) { dx[out + 2u * shape.channels4] = sum2; }
  if (pixel + 3u < shape.pixels) { dx[out + 3u * shape.channels4] = sum3; }
}
