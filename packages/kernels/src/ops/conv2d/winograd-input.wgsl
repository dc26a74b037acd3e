// V = B^T d B for each 4x4 patch d that feeds a 2x2 tile of the output: Winograd's F(2x2, 3x3).
// source [N, height, width, depth4], V [16][tiles][depth4] from the start of scratch on, planes `v_plane` apart, as vec4f.
// The tiles are those of the images from `first_image` on. Tile (n, ty, tx) starts at row 2 ty - top, column 2 tx - left; outside the source there are zeros.
// One invocation: 4 channels of one tile. Excess invocations return.

struct Shape { height: i32, width: i32, depth4: u32, tiles: u32, tiles_y: u32, tiles_x: u32, top: i32, left: i32, v_plane: u32, first_image: u32 }

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read_write> source: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4f>;

fn load(image: i32, iy: i32, ix: i32, c: u32) -> vec4f {
  let inside = iy >= 0 && iy < shape.height && ix >= 0 && ix < shape.width;
  let at = select(0, (image * shape.height + iy) * shape.width + ix, inside);
  return select(vec4f(), source[u32(at) * shape.depth4 + c], inside);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= shape.tiles * shape.depth4) { return; }
  let c = i % shape.depth4;
  let tile = i / shape.depth4;
  let rest = tile % (shape.tiles_y * shape.tiles_x);
  let image = i32(shape.first_image + tile / (shape.tiles_y * shape.tiles_x));
  let iy = 2 * i32(rest / shape.tiles_x) - shape.top;
  let ix = 2 * i32(rest % shape.tiles_x) - shape.left;
  var half: array<array<vec4f, 4>, 4>; // B^T d
  for (var column = 0; column < 4; column++) {
    let d0 = load(image, iy, ix + column, c);
    let d1 = load(image, iy + 1, ix + column, c);
    let d2 = load(image, iy + 2, ix + column, c);
    let d3 = load(image, iy + 3, ix + column, c);
    half[0][column] = d0 - d2;
    half[1][column] = d1 + d2;
    half[2][column] = d2 - d1;
    half[3][column] = d1 - d3;
  }
  for (var r = 0u; r < 4u; r++) {
    let out = 4u * r * shape.v_plane + i;
    scratch[out] = half[r][0] - half[r][2];
    scratch[out + shape.v_plane] = half[r][1] + half[r][2];
    scratch[out + 2u * shape.v_plane] = half[r][2] - half[r][1];
    scratch[out + 3u * shape.v_plane] = half[r][1] - half[r][3];
  }
}
