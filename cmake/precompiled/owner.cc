// Owns a precompiled header; see cmake/GraftPrecompiled.cmake.
