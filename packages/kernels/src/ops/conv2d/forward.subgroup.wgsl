// y[n, oy, ox, f] = bias[f] + sum over ky, kx, c of x[n, oy sy + ky - top, ox sx + kx - left, c] weight[f, ky, kx, c]
// x [N, H, W, C4], weight [F4, KH, KW, C4], bias [F4], y [N, OH, OW, F4], all as vec4f along the last dimension.
// An implicit matrix product in registers. One lane: 4 consecutive output pixels, loaded along c; one workgroup: one
// subgroup, 4 SUBGROUP pixels x ROWS filters. Weights are loaded once a subgroup (lane = filter) and broadcast.
// Preconditions: ROWS is 8 or 16; the subgroup size is SUBGROUP, which is 8 or 16. Ragged edges are guarded.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;

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
  let at = min(pixel, shape.pixels - 1u);
  let image = shape.out_height * shape.out_width;
  let rest = at % image;
  return vec3i(i32(at / image) * shape.height,
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

// 4 filters, 4 pixels in each: transposed to one vec4f a pixel.
fn store(pixel: u32, f: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (f >= shape.filters4) { return; }
  let start = select(vec4f(), bias[f], shape.has_bias != 0u);
  let out = pixel * shape.filters4 + f;
  if (pixel < shape.pixels) { y[out] = start + vec4f(s0.x, s1.x, s2.x, s3.x); }
  if (pixel + 1u < shape.pixels) { y[out + shape.filters4] = start + vec4f(s0.y, s1.y, s2.y, s3.y); }
  if (pixel + 2u < shape.pixels) { y[out + 2u * shape.filters4] = start + vec4f(s0.z, s1.z, s2.z, s3.z); }
  if (pixel + 3u < shape.pixels) { y[out + 3u * shape.filters4] = start + vec4f(s0.w, s1.w, s2.w, s3.w); }
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.filters4 * 4u + ROWS - 1u) / ROWS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * ROWS;
  let pixel = tile / blocks * 4u * SUBGROUP + 4u * lane;
  let at0 = corner(pixel);
  let at1 = corner(pixel + 1u);
  let at2 = corner(pixel + 2u);
  let at3 = corner(pixel + 3u);
  let row = u32(shape.kernel_height * shape.kernel_width) * shape.channels4;
  let last = shape.filters4 * 4u - 1u;
  var row0 = min(first + lane, last) * row;
  var row1 = min(first + 8u + lane, last) * row;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  var s8 = vec4f(); var s9 = vec4f(); var s10 = vec4f(); var s11 = vec4f();
  var s12 = vec4f(); var s13 = vec4f(); var s14 = vec4f(); var s15 = vec4f();
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    for (var kx = 0; kx < shape.kernel_width; kx++) {
      let tap0 = tap_address(at0, ky, kx);
      let tap1 = tap_address(at1, ky, kx);
      let tap2 = tap_address(at2, ky, kx);
      let tap3 = tap_address(at3, ky, kx);
      for (var c = 0u; c < shape.channels4; c++) {
        let w0 = weight[row0];
        row0++;
        var w1 = w0;
        if (ROWS > SUBGROUP) {
          w1 = weight[row1];
          row1++;
        }
        let m = mat4x4f(load(tap0, c), load(tap1, c), load(tap2, c), load(tap3, c));
        s0 += subgroupBroadcast(select(w1, w0, 0u < SUBGROUP), 0u % SUBGROUP) * m;
        s1 += subgroupBroadcast(select(w1, w0, 1u < SUBGROUP), 1u % SUBGROUP) * m;
        s2 += subgroupBroadcast(select(w1, w0, 2u < SUBGROUP), 2u % SUBGROUP) * m;
        s3 += subgroupBroadcast(select(w1, w0, 3u < SUBGROUP), 3u % SUBGROUP) * m;
        s4 += subgroupBroadcast(select(w1, w0, 4u < SUBGROUP), 4u % SUBGROUP) * m;
        s5 += subgroupBroadcast(select(w1, w0, 5u < SUBGROUP), 5u % SUBGROUP) * m;
        s6 += subgroupBroadcast(select(w1, w0, 6u < SUBGROUP), 6u % SUBGROUP) * m;
        s7 += subgroupBroadcast(select(w1, w0, 7u < SUBGROUP), 7u % SUBGROUP) * m;
        if (ROWS > 8u) {
          s8 += subgroupBroadcast(select(w1, w0, 8u < SUBGROUP), 8u % SUBGROUP) * m;
          s9 += subgroupBroadcast(select(w1, w0, 9u < SUBGROUP), 9u % SUBGROUP) * m;
          s10 += subgroupBroadcast(select(w1, w0, 10u < SUBGROUP), 10u % SUBGROUP) * m;
          s11 += subgroupBroadcast(select(w1, w0, 11u < SUBGROUP), 11u % SUBGROUP) * m;
          s12 += subgroupBroadcast(select(w1, w0, 12u < SUBGROUP), 12u % SUBGROUP) * m;
          s13 += subgroupBroadcast(select(w1, w0, 13u < SUBGROUP), 13u % SUBGROUP) * m;
          s14 += subgroupBroadcast(select(w1, w0, 14u < SUBGROUP), 14u % SUBGROUP) * m;
          s15 += subgroupBroadcast(select(w1, w0, 15u < SUBGROUP), 15u % SUBGROUP) * m;
        }
      }
    }
  }
  let f = first / 4u;
  store(pixel, f, s0, s1, s2, s3);
  store(pixel, f + 1u, s4, s5, s6, s7);
  if (ROWS > 8u) {
    store(pixel, f + 2u, s8, s9, s10, s11);
    store(pixel, f + 3u, s12, s13, s14, s15);
  }
}
