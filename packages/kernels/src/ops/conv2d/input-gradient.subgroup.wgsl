// dx[n, iy, ix, c] = sum over ky, kx, f of dy[n, (iy + top - ky) / sy, (ix + left - kx) / sx, f] weight[f, ky, kx, c]
// where the divisions leave no rest and the results lie inside the output.
// dy [N, OH, OW, F4], weight [F4, KH, KW, C4], dx [N, H, W, C4], all as vec4f along the last dimension.
// An implicit matrix product in registers. Pixels are taken by class, iy mod sy and ix mod sx, one class a workgroup_id.z:
// pixels of a class share their taps, so none is wasted. A class is a grid of grid_height x grid_width per image, and
// grid row j of class r is image row j sy + r, if it exists.
// One lane: 4 consecutive pixels of a class, dy loaded along f; one workgroup: one subgroup, 4 SUBGROUP pixels x ROWS
// channels. 4 filters x ROWS channels of weights are loaded once a subgroup and broadcast.
// Preconditions: ROWS is 8 or 16; the subgroup size is SUBGROUP, which is 8 or 16. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const COLUMNS = ROWS / 4u;

struct Shape {
  height: i32, width: i32, channels4: u32, filters4: u32, out_height: i32, out_width: i32,
  kernel_height: i32, kernel_width: i32, stride_y: i32, stride_x: i32, top: i32, left: i32,
  grid_height: u32, grid_width: u32, pixels: u32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

// Image, grid row and grid column of a pixel of the class.
fn position(pixel: u32) -> vec3i {
  let at = min(pixel, shape.pixels - 1u);
  let image = shape.grid_height * shape.grid_width;
  let rest = at % image;
  return vec3i(i32(at / image), i32(rest / shape.grid_width), i32(rest % shape.grid_width));
}

// The vec4f index of the first filters of an output pixel, or -1 outside.
fn tap_address(at: vec3i, dy_rows: i32, dx_columns: i32) -> i32 {
  let oy = at.y + dy_rows;
  let ox = at.z + dx_columns;
  let inside = oy >= 0 && oy < shape.out_height && ox >= 0 && ox < shape.out_width;
  return select(-1, ((at.x * shape.out_height + oy) * shape.out_width + ox) * i32(shape.filters4), inside);
}

fn load(address: i32, f: u32) -> vec4f {
  return select(vec4f(), dy[u32(max(address, 0)) + f], address >= 0);
}

fn store_pixel(pixel: u32, class_y: i32, class_x: i32, c: u32, value: vec4f) {
  let at = position(pixel);
  let iy = at.y * shape.stride_y + class_y;
  let ix = at.z * shape.stride_x + class_x;
  if (pixel < shape.pixels && iy < shape.height && ix < shape.width) {
    dx[u32((at.x * shape.height + iy) * shape.width + ix) * shape.channels4 + c] = value;
  }
}

// 4 channels, 4 pixels in each: transposed to one vec4f a pixel.
fn store(pixel: u32, class_y: i32, class_x: i32, c: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (c >= shape.channels4) { return; }
  store_pixel(pixel, class_y, class_x, c, vec4f(s0.x, s1.x, s2.x, s3.x));
  store_pixel(pixel + 1u, class_y, class_x, c, vec4f(s0.y, s1.y, s2.y, s3.y));
  store_pixel(pixel + 2u, class_y, class_x, c, vec4f(s0.z, s1.z, s2.z, s3.z));
  store_pixel(pixel + 3u, class_y, class_x, c, vec4f(s0.w, s1.w, s2.w, s3.w));
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let blocks = (shape.channels4 + COLUMNS - 1u) / COLUMNS;
  let tile = group.y * groups.x + group.x;
  let first = tile % blocks * COLUMNS;
  let pixel = tile / blocks * 4u * SUBGROUP + 4u * lane;
  let class_y = i32(group.z) / shape.stride_x;
  let class_x = i32(group.z) % shape.stride_x;
  let at0 = position(pixel);
  let at1 = position(pixel + 1u);
  let at2 = position(pixel + 2u);
  let at3 = position(pixel + 3u);
  // Lane: filter lane / COLUMNS of 4 (in two loads where 4 COLUMNS > SUBGROUP), channels first + lane % COLUMNS.
  let row = u32(shape.kernel_height * shape.kernel_width) * shape.channels4;
  let column = min(first + lane % COLUMNS, shape.channels4 - 1u) + min(lane / COLUMNS, 3u) * row;
  let ky0 = (class_y + shape.top) % shape.stride_y;
  let kx0 = (class_x + shape.left) % shape.stride_x;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var s4 = vec4f(); var s5 = vec4f(); var s6 = vec4f(); var s7 = vec4f();
  var s8 = vec4f(); var s9 = vec4f(); var s10 = vec4f(); var s11 = vec4f();
  var s12 = vec4f(); var s13 = vec4f(); var s14 = vec4f(); var s15 = vec4f();
  for (var ky = ky0; ky < shape.kernel_height; ky += shape.stride_y) {
    for (var kx = kx0; kx < shape.kernel_width; kx += shape.stride_x) {
      let dy_rows = (class_y + shape.top - ky) / shape.stride_y;
      let dx_columns = (class_x + shape.left - kx) / shape.stride_x;
      let tap0 = tap_address(at0, dy_rows, dx_columns);
      let tap1 = tap_address(at1, dy_rows, dx_columns);
      let tap2 = tap_address(at2, dy_rows, dx_columns);
      let tap3 = tap_address(at3, dy_rows, dx_columns);
      var w = u32(ky * shape.kernel_width + kx) * shape.channels4 + column;
      for (var f = 0u; f < shape.filters4; f++) {
        let w0 = weight[w];
        var w1 = w0;
        if (ROWS > SUBGROUP) { w1 = weight[w + 2u * row]; }
        w += 4u * row;
        let m = mat4x4f(load(tap0, f), load(tap1, f), load(tap2, f), load(tap3, f));
        {
          let b0 = subgroupBroadcast(select(w1, w0, 0u < SUBGROUP), (0u) % SUBGROUP);
          let b1 = subgroupBroadcast(select(w1, w0, COLUMNS < SUBGROUP), (COLUMNS) % SUBGROUP);
          let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS < SUBGROUP), (2u * COLUMNS) % SUBGROUP);
          let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS < SUBGROUP), (3u * COLUMNS) % SUBGROUP);
          s0 += vec4f(b0.x, b1.x, b2.x, b3.x) * m;
          s1 += vec4f(b0.y, b1.y, b2.y, b3.y) * m;
          s2 += vec4f(b0.z, b1.z, b2.z, b3.z) * m;
          s3 += vec4f(b0.w, b1.w, b2.w, b3.w) * m;
        }
        {
          let b0 = subgroupBroadcast(select(w1, w0, 1u < SUBGROUP), (1u) % SUBGROUP);
          let b1 = subgroupBroadcast(select(w1, w0, COLUMNS + 1u < SUBGROUP), (COLUMNS + 1u) % SUBGROUP);
          let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS + 1u < SUBGROUP), (2u * COLUMNS + 1u) % SUBGROUP);
          let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS + 1u < SUBGROUP), (3u * COLUMNS + 1u) % SUBGROUP);
          s4 += vec4f(b0.x, b1.x, b2.x, b3.x) * m;
          s5 += vec4f(b0.y, b1.y, b2.y, b3.y) * m;
          s6 += vec4f(b0.z, b1.z, b2.z, b3.z) * m;
          s7 += vec4f(b0.w, b1.w, b2.w, b3.w) * m;
        }
        if (ROWS > 8u) {
          {
            let b0 = subgroupBroadcast(select(w1, w0, 2u < SUBGROUP), (2u) % SUBGROUP);
            let b1 = subgroupBroadcast(select(w1, w0, COLUMNS + 2u < SUBGROUP), (COLUMNS + 2u) % SUBGROUP);
            let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS + 2u < SUBGROUP), (2u * COLUMNS + 2u) % SUBGROUP);
            let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS + 2u < SUBGROUP), (3u * COLUMNS + 2u) % SUBGROUP);
            s8 += vec4f(b0.x, b1.x, b2.x, b3.x) * m;
            s9 += vec4f(b0.y, b1.y, b2.y, b3.y) * m;
            s10 += vec4f(b0.z, b1.z, b2.z, b3.z) * m;
            s11 += vec4f(b0.w, b1.w, b2.w, b3.w) * m;
          }
          {
            let b0 = subgroupBroadcast(select(w1, w0, 3u < SUBGROUP), (3u) % SUBGROUP);
            let b1 = subgroupBroadcast(select(w1, w0, COLUMNS + 3u < SUBGROUP), (COLUMNS + 3u) % SUBGROUP);
            let b2 = subgroupBroadcast(select(w1, w0, 2u * COLUMNS + 3u < SUBGROUP), (2u * COLUMNS + 3u) % SUBGROUP);
            let b3 = subgroupBroadcast(select(w1, w0, 3u * COLUMNS + 3u < SUBGROUP), (3u * COLUMNS + 3u) % SUBGROUP);
            s12 += vec4f(b0.x, b1.x, b2.x, b3.x) * m;
            s13 += vec4f(b0.y, b1.y, b2.y, b3.y) * m;
            s14 += vec4f(b0.z, b1.z, b2.z, b3.z) * m;
            s15 += vec4f(b0.w, b1.w, b2.w, b3.w) * m;
          }
        }
      }
    }
  }
  store(pixel, class_y, class_x, first, s0, s1, s2, s3);
  store(pixel, class_y, class_x, first + 1u, s4, s5, s6, s7);
  if (ROWS > 8u) {
    store(pixel, class_y, class_x, first + 2u, s8, s9, s10, s11);
    store(pixel, class_y, class_x, first + 3u, s12, s13, s14, s15);
  }
}
