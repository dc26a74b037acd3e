// y[n, oy, ox, f] = bias[f] + sum over ky, kx, c of x[n, oy sy + ky - top, ox sx + kx - left, c] weight[f, ky, kx, c]
// x [N, H, W, C4], weight [F4, KH, KW, C4], bias [F4], y [N, OH, OW, F4], all as vec4f along the last dimension.
// An implicit matrix product in registers. One lane: 4 consecutive output pixels, loaded along c; one workgroup: one
// subgroup, 4 SUBGROUP pixels x ROWS filters. Weights are loaded once a subgroup (lane = filter) and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is a multiple of 4. Ragged edges are guarded.
// Without a bias, `has_bias` is 0 and any buffer may stand in its place.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

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
  var rows: array<u32, LOADS>;
  for (var i = 0u; i < LOADS; i++) { rows[i] = min(first + i * SUBGROUP + lane, last) * row; }
  var sums: array<vec4f, ROWS>;
  var tap = 0u;
  for (var ky = 0; ky < shape.kernel_height; ky++) {
    for (var kx = 0; kx < shape.kernel_width; kx++) {
      let tap0 = tap_address(at0, ky, kx);
      let tap1 = tap_address(at1, ky, kx);
      let tap2 = tap_address(at2, ky, kx);
      let tap3 = tap_address(at3, ky, kx);
      for (var c = 0u; c < shape.channels4; c++) {
        let m = mat4x4f(load(tap0, c), load(tap1, c), load(tap2, c), load(tap3, c));
        var w: array<vec4f, LOADS>;
        for (var i = 0u; i < LOADS; i++) { w[i] = weight[rows[i] + tap + c]; }
        for (var r = 0u; r < ROWS; r++) { sums[r] += subgroupShuffle(w[r / SUBGROUP], r % SUBGROUP) * m; }
      }
      tap += shape.channels4;
    }
  }
  for (var q = 0u; q < ROWS / 4u; q++) {
    store(pixel, first / 4u + q, sums[4u * q], sums[4u * q + 1u], sums[4u * q + 2u], sums[4u * q + 3u]);
  }
}
