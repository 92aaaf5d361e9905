// Types of jars that are imported as files: the path at which the program finds them.
declare module "*.jar" {
  const path: string;
  export default path;
}
