/// The answers of a CPU that isn't fast at bf16, whichever is here: what is linked with this as
/// CMakeLists.txt has it widens the operands of its products, as such CPUs do.

namespace graft::worker::engine {

bool CpuIsFastAtBf16() __asm__("__wrap__ZN5graft6worker6engine14CpuHasFastBf16Ev");
bool CpuIsFastAtBf16() { return false; }

namespace cpu {

bool HasNoBlockProducts() __asm__("__wrap__ZN5graft6worker6engine3cpu16HasBlockProductsEv");
bool HasNoBlockProducts() { return false; }

}  // namespace cpu
}  // namespace graft::worker::engine
