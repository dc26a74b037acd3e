// dx[n, iy, ix, c] = sum over ky, kx, f of dy[n, (iy + top - ky) / sy, (ix + left - kx) / sx, f] weight[f, ky, kx, c]
// where the divisions leave no rest and the results lie inside the output.
// dy [N, OH, OW, F4], weight [F4, KH, KW, C4], dx [N, H, W, C4], all as vec4f along the last dimension.
// An implicit matrix product in registers. Pixels are taken by class, iy mod sy and ix mod sx, one class a workgroup_id.z:
// pixels of a class share their taps, so none is wasted. A class is a grid of grid_height x grid_width per image, and
// grid row j of class r is image row j sy + r, if it exists.
// One lane: 4 consecutive pixels of a class, dy loaded along f; one workgroup: one subgroup, 4 SUBGROUP pixels x ROWS
// channels. 4 filters x ROWS channels of weights are loaded once a subgroup and broadcast.
// Preconditions: the subgroup size is SUBGROUP; ROWS is a multiple of 4 and divides 4 SUBGROUP. Ragged edges are guarded.
enable subgroups;

const SUBGROUP = 8u;
const ROWS = 16u;
const COLUMNS = ROWS / 4u;
const LOADS = (ROWS + SUBGROUP - 1u) / SUBGROUP;

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
fn store(pixel: u32, class_y: i32, class_x: i32, c: u32, s: mat4x4f) {
  if (c >= shape.channels4) { return; }
  store_pixel(pixel, class_y, class_x, c, vec4f(s[0].x, s[1].x, s[2].x, s[3].x));
  store_pixel(pixel + 1u, class_y, class_x, c, vec4f(s[0].y, s[1].y, s[2].y, s[3].y));
  store_pixel(pixel + 2u, class_y, class_x, c, vec4f(s[0].z, s[1].z, s[2].z, s[3].z));
  store_pixel(pixel + 3u, class_y, class_x, c, vec4f(s[0].w, s[1].w, s[2].w, s[3].w));
}

// Number i of a step's vec4f, in every lane.
fn spread(w: ptr<function, array<vec4f, LOADS>>, i: u32) -> vec4f {
  return subgroupShuffle((*w)[i / SUBGROUP], i % SUBGROUP);
}

// Column j: the 4 filters of channel 4 q + j.
fn rows_of(w: ptr<function, array<vec4f, LOADS>>, q: u32) -> mat4x4f {
  return transpose(mat4x4f(spread(w, q), spread(w, q + COLUMNS), spread(w, q + 2u * COLUMNS), spread(w, q + 3u * COLUMNS)));
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
  // The 4 filters x COLUMNS vec4f of a step lie in lanes in this order, over LOADS loads.
  let row = u32(shape.kernel_height * shape.kernel_width) * shape.channels4;
  let column = min(first + lane % COLUMNS, shape.channels4 - 1u) + min(lane / COLUMNS, 3u) * row;
  let ky0 = (class_y + shape.top) % shape.stride_y;
  let kx0 = (class_x + shape.left) % shape.stride_x;
  // Loops over sums go over at most 4 elements: longer ones are not unrolled, and then sums would leave the registers.
  var sums: array<mat4x4f, COLUMNS>;
  for (var ky = ky0; ky < shape.kernel_height; ky += shape.stride_y) {
    for (var kx = kx0; kx < shape.kernel_width; kx += shape.stride_x) {
      let dy_rows = (class_y + shape.top - ky) / shape.stride_y;
      let dx_columns = (class_x + shape.left - kx) / shape.stride_x;
      let tap0 = tap_address(at0, dy_rows, dx_columns);
      let tap1 = tap_address(at1, dy_rows, dx_columns);
      let tap2 = tap_address(at2, dy_rows, dx_columns);
      let tap3 = tap_address(at3, dy_rows, dx_columns);
      var at = u32(ky * shape.kernel_width + kx) * shape.channels4 + column;
      for (var f = 0u; f < shape.filters4; f++) {
        var w: array<vec4f, LOADS>;
        for (var i = 0u; i < LOADS; i++) { w[i] = weight[at + i * (SUBGROUP / COLUMNS) * row]; }
        at += 4u * row;
        let m = transpose(mat4x4f(load(tap0, f), load(tap1, f), load(tap2, f), load(tap3, f)));
        for (var q = 0u; q < min(COLUMNS, 4u); q++) { sums[q] += m * rows_of(&w, q); }
        for (var q = 4u; q < COLUMNS; q++) { sums[q] += m * rows_of(&w, q); }
      }
    }
  }
  for (var q = 0u; q < COLUMNS; q++) {
    store(pixel, class_y, class_x, first + q, sums[q]);
  }
}
