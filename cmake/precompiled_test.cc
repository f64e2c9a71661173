// The owner of what precompiled_test.h precompiles for all tests; nobody runs it.
int main() {}
