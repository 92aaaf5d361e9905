// Types of files that are imported as files: the path at which the program finds them.
declare module "*.jar" {
  const path: string;
  export default path;
}
declare module "*.erl" {
  const path: string;
  export default path;
}
