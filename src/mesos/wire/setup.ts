// Prepares the protobuf run time. Must be evaluated before the generated module, which reads these switches as it loads.
import $protobuf from "protobufjs/minimal.js";

// 64-bit integers as numbers: Mesos' largest, nanoseconds, stay below 2^53.
$protobuf.util.Long = null as never;
$protobuf.configure();

// Fields newer than proto/ are kept and sent back as they came, so that a task or a resource we return is what we got.
$protobuf.Reader.discardUnknown = false;
